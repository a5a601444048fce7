"""One request on its way through the sandbox, and its answer."""
import json

from . import form
from .errors import StripeError


class Answer:
    __slots__ = ("status", "body", "headers", "stored")

    def __init__(self, status, body, headers=None, stored=True):
        self.status, self.body = status, body
        self.headers = headers if headers is not None else {}
        self.stored = stored    # may an idempotency key keep it?


class Call:
    __slots__ = ("connection", "method", "path", "query", "headers", "body", "head", "keep", "gone",
                 "request_id", "version", "lane", "key_entry", "entry", "on_leave", "rejection",
                 "close_idle_ms", "_params")

    def __init__(self, connection, method, path, query, headers, body, head):
        self.connection = connection
        self.method, self.path, self.query = method, path, query
        self.headers, self.body, self.head = headers, body, head
        self.keep = True
        self.gone = False       # the client has left
        self.request_id = self.version = None
        self.lane = None        # (customer, event_name) of a meter event call
        self.key_entry = None   # the idempotency key that this call owns while in flight
        self.entry = None       # its line in the request log
        self.on_leave = None    # what to do when the client leaves
        self.rejection = None   # the code with which its first meter event is refused later
        self.close_idle_ms = None   # after its answer: so long until the connection is reset
        self._params = None

    @property
    def params(self):
        if self._params is None:
            self._params = self.parse_params()
        return self._params

    def parse_params(self):
        if self.path.startswith("/v2/") and self.method == "POST":
            return parse_json(self.body)
        text = self.query
        if self.method == "POST" and self.body:
            text = self.body.decode("utf-8", "replace") + ("&" + text if text else "")
        return form.parse(text)

    @property
    def idempotency_key(self):
        return self.headers.get("idempotency-key") or None

    def left(self):
        if self.on_leave is not None:
            self.on_leave()


def parse_json(body):
    try:
        value = json.loads(body) if body else {}
    except ValueError:
        raise StripeError(400, "The request body is not valid JSON.", code="invalid_json")
    if not isinstance(value, dict):
        raise StripeError(400, "The request body must be a JSON object.", code="invalid_json")
    return value
