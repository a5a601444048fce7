"""The log of requests: a ring, kept as raw bytes and only made readable when somebody looks."""
from collections import deque

KEEP = 100_000


class Seen:
    __slots__ = ("at", "method", "path", "query", "head", "body", "status", "request_id")

    def __init__(self, at, call):
        self.at = at
        self.method, self.path, self.query = call.method, call.path, call.query
        self.head, self.body, self.request_id = call.head, call.body, call.request_id
        self.status = None      # None: never answered

    def headers(self):
        found = {}
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            name, _, value = line.partition(":")
            value = value.strip()
            if name.lower() == "authorization":
                value = value.split(" ")[0] + " ****"
            found[name.lower()] = value
        return found

    def shown(self):
        return {"at": self.at, "method": self.method, "path": self.path, "query": self.query,
                "headers": self.headers(), "body": self.body.decode("utf-8", "replace"),
                "status": self.status, "request_id": self.request_id}


class Requests:
    def __init__(self, clock):
        self.clock = clock
        self.ring = deque(maxlen=KEEP)
        self.by_identifier = {}

    def note(self, call):
        call.entry = Seen(self.clock.now(), call)
        self.ring.append(call.entry)

    def note_identifier(self, identifier, entry, body):
        """body: the bytes that this identifier stood for; of a batch its own part alone."""
        self.by_identifier.setdefault(identifier, []).append((entry, body))

    def differing(self):
        """The identifiers that were sent with more than one body, each with its bodies."""
        return {identifier: sorted(bodies) for identifier, seen in self.by_identifier.items()
                if len(bodies := {body.decode("utf-8", "replace") for _, body in seen}) > 1}

    def newest(self, prefix, limit):
        """The last `limit` requests below the prefix, oldest of them first."""
        found = []
        for entry in reversed(self.ring):
            if len(found) >= limit:
                break
            if entry.path.startswith(prefix):
                found.append(entry.shown())
        return found[::-1]
