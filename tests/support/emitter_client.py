"""A client of the emitter's daemon."""

import http.client
import json


class Client:
    """One connection, made anew when it was lost."""

    def __init__(self, stage, **headers):
        self.port = stage.port("events")
        self.headers = headers
        self._connection = None

    def call(self, method, path, body=None, timeout=20, **headers):
        """(status, answer, headers): the answer is parsed JSON, the names of headers are in lower case. Underscores in
        the names of headers that are given stand for hyphens."""
        if not self._connection:
            self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        sent = {name.replace("_", "-"): value for name, value in {**self.headers, **headers}.items()}
        try:
            self._connection.request(method, path, body, sent)
            answer = self._connection.getresponse()
            data = answer.read()
        except OSError:
            self.close()
            raise
        except http.client.HTTPException:
            self.close()
            raise
        return answer.status, json.loads(data) if data else None, {name.lower(): value for name, value in answer.getheaders()}

    def post(self, body, content_type="application/json", path="/v1/events", **headers):
        """Events; anything but text and bytes is sent as JSON."""
        data = body if isinstance(body, (str, bytes)) else json.dumps(body)
        data = data.encode() if isinstance(data, str) else data
        return self.call("POST", path, data, **{"Content-Type": content_type, **headers})

    def close(self):
        if self._connection:
            self._connection.close()
        self._connection = None


def statuses(answer):
    return [one["status"] for one in answer["events"]]
