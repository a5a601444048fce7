"""Idempotency keys: the first answer is kept for 24 hours and given again.

Kept are the answers of requests whose execution had begun, a 500 among them and a 400 for a meter
that is not there; not kept are refused parameters, conflicts, 401 and 429. The v2 interface keeps
successes only: failed work is done again.
"""
from .call import Answer
from .errors import StripeError

KEEP_S = 24 * 3600


class Entry:
    __slots__ = ("key", "method", "path", "body", "query", "at", "answer", "request_id")

    def __init__(self, call, key, at):
        self.key, self.at = key, at
        self.method, self.path = call.method, call.path
        self.body, self.query = call.body, call.query
        self.answer, self.request_id = None, call.request_id

    def same_request(self, call):
        if (self.method, self.path) != (call.method, call.path):
            return False
        if (self.body, self.query) == (call.body, call.query):
            return True
        other = type(call)(None, self.method, self.path, self.query, {}, self.body, b"")
        return other.params == call.params


def takes_key(call):
    return call.method == "POST" or (call.method == "DELETE" and call.path.startswith("/v2/"))


class Idempotency:
    def __init__(self, clock):
        self.clock = clock
        self.entries = {}       # oldest first, since a dictionary keeps the order of insertion

    def begin(self, call):
        """None: go on, this call owns its key. Otherwise the answer to give again."""
        key = call.idempotency_key
        if key is None or not takes_key(call):
            return None
        if len(key) > 255:
            raise StripeError(400, "Invalid Idempotency-Key: must be at most 255 characters.",
                              type="idempotency_error")
        self.forget_old()
        entry = self.entries.get(key)
        if entry is None:
            call.key_entry = self.entries[key] = Entry(call, key, self.clock.now())
            return None
        if not entry.same_request(call):
            raise StripeError(400, self.mismatch(entry, call), type="idempotency_error")
        if entry.answer is None:
            raise StripeError(409, "There is currently another in-progress request using this "
                              "Idempotent Key (that probably means you submitted twice, and the "
                              "other request is still going through): %s. Please try again later."
                              % key,
                              type="idempotency_error", code="idempotency_key_in_use")
        return Answer(entry.answer.status, entry.answer.body, {
            **entry.answer.headers, "Idempotent-Replayed": "true",
            "Original-Request": entry.request_id, "Idempotency-Key": key})

    @staticmethod
    def mismatch(entry, call):
        if entry.path != call.path:
            return ("Keys for idempotent requests can only be used for the same endpoint they were "
                    "first used for ('%s' vs '%s'). Try using a key other than '%s' if you meant "
                    "to execute a different request." % (call.path, entry.path, entry.key))
        return ("Keys for idempotent requests can only be used with the same parameters they were "
                "first used with. Try using a key other than '%s' if you meant to execute a "
                "different request." % entry.key)

    def settle(self, call, answer):
        """Keep the answer, or free the key (answer None: nothing was executed)."""
        entry, call.key_entry = call.key_entry, None
        if entry is None:
            return
        keep = answer is not None and answer.stored
        if keep and call.path.startswith("/v2/") and answer.status >= 400:
            keep = False
        if keep:
            entry.answer = answer
        elif self.entries.get(entry.key) is entry:
            del self.entries[entry.key]

    def forget_old(self):
        oldest = self.clock.now() - KEEP_S
        while self.entries:
            key, entry = next(iter(self.entries.items()))
            if entry.at > oldest:
                return
            del self.entries[key]
