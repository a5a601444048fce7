"""Faults on demand. A fault is matched by method and path prefix, for calls that carry a valid key
and are within the rate limit.

    drop_before_apply   close the connection; nothing happened
    drop_after_apply    do the work, then close the connection without an answer
    status              answer `status`; applied says whether the work is done before; stored says
                        whether an idempotency key keeps this answer (default: what Stripe does with
                        a failure after execution began, that is, as applied)
    delay               answer after delay_ms; applied false: do the work only then
    hang                nothing happens and no answer comes until the client leaves
"""
from .errors import StripeError

KINDS = ("drop_after_apply", "drop_before_apply", "status", "delay", "hang")
FIELDS = {"method", "path", "fault", "status", "applied", "stored", "headers", "body", "delay_ms",
          "times", "probability_percent"}


class Fault:
    def __init__(self, id, spec):
        unknown = set(spec) - FIELDS
        if unknown:
            raise StripeError(400, "Unknown fields: %s" % ", ".join(sorted(unknown)))
        if spec.get("fault") not in KINDS:
            raise StripeError(400, "fault must be one of %s" % ", ".join(KINDS))
        self.id, self.spec = id, spec
        self.kind = spec["fault"]
        self.method = spec.get("method")
        self.path = spec.get("path", "/")
        self.status = int(spec.get("status", 500))
        self.applied = bool(spec.get("applied", self.kind in ("drop_after_apply", "delay")))
        self.stored = bool(spec.get("stored", self.applied and self.status not in (401, 409, 429)))
        self.headers = dict(spec.get("headers") or {})
        self.body = spec.get("body")
        self.delay_ms = int(spec.get("delay_ms", 0))
        self.times = spec.get("times")          # None: for ever
        self.probability_percent = spec.get("probability_percent", 100)
        self.fired = 0

    def matches(self, call):
        return (self.method in (None, call.method) and call.path.startswith(self.path)
                and (self.times is None or self.fired < self.times))

    def shown(self):
        return {**self.spec, "id": self.id, "fired": self.fired}


class Faults:
    def __init__(self, random):
        self.random = random
        self.list = []
        self.count = 0

    def add(self, spec):
        self.count += 1
        fault = Fault("fault_%d" % self.count, spec)
        self.list.append(fault)
        return fault

    def pick(self, call):
        """The first fault that matches and wins its draw."""
        for fault in self.list:
            if fault.matches(call) and (fault.probability_percent >= 100 or
                                        self.random.random() * 100 < fault.probability_percent):
                fault.fired += 1
                return fault
        return None
