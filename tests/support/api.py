"""A caller of the API: its keys, its requests, and what it must always be told."""

import http.client
import json
import urllib.parse

from line.wait import wait_until


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.json["error"]["code"]

    @property
    def param(self):
        return self.json["error"]["param"]

    def __repr__(self):
        return f"<{self.status} {self.body[:600]!r}>"


class Api:
    """stage: a running meterline-api. key, tenant: of each request that names no others."""

    def __init__(self, line, stage, key=None, tenant=None):
        self.line, self.stage, self.key, self.tenant = line, stage, key, tenant
        self.port = stage.port("api")

    def with_key(self, role, name=None, tenant=None, of=None):
        """The same caller with a new key. tenant: the key is bound to it; of: it is named each time."""
        key = make_key(self.line, role, name, tenant)
        return Api(self.line, self.stage, key, of)

    def of(self, tenant):
        return Api(self.line, self.stage, self.key, tenant)

    def ask(self, method, path, body=None, headers=None, query=None, timeout=30):
        """body: JSON unless it is text or bytes. headers: None takes one away."""
        sent = {"Authorization": f"Bearer {self.key}" if self.key else None, "X-Tenant-Id": self.tenant}
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
            sent["Content-Type"] = "application/json"
        sent.update(headers or {})
        if query:
            path += "?" + urllib.parse.urlencode(query)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            data = body.encode() if isinstance(body, str) else body
            encoded = {name: value.encode() if isinstance(value, str) else value
                       for name, value in sent.items() if value is not None}
            connection.request(method, path, data, encoded)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path, **options):
        return self.ask("GET", path, **options)

    def post(self, path, body=None, **options):
        return self.ask("POST", path, body, **options)

    def put(self, path, body=None, **options):
        return self.ask("PUT", path, body, **options)

    def delete(self, path, **options):
        return self.ask("DELETE", path, **options)

    def must(self, method, path, body=None, **options):
        answer = self.ask(method, path, body, **options)
        assert answer.status == 200, f"{method} {path}: {answer}"
        return answer.json

    def wait(self, path, condition, what, timeout=30):
        """GET until the answer is so."""
        def look():
            answer = self.get(path)
            return answer.status == 200 and condition(answer.json) and answer.json
        return wait_until(look, timeout, what, explain=self.line.log_tails)


def make_key(line, role, name=None, tenant=None, *more):
    name = name or f"{role}-{line.value('SELECT count(*) FROM api_keys')}"
    return line.must("meterctl", "keys", "create", name, "--role", role, *(["--tenant", tenant, "--new"] if tenant else []),
                     *more).stdout.strip()


def start(line, **settings):
    """A caller without a key, of an API that is ready."""
    return Api(line, line.start_api(**settings).wait_ready())
