"""Faults on demand. A fault is matched by method and path prefix, for calls that carry a valid key
and are within the rate limit.

    drop_before_apply   close the connection; nothing happened
    drop_after_apply    do the work, then close the connection without an answer
    status              answer `status`; applied says whether the work is done before; stored says
                        whether an idempotency key keeps this answer (default: what Stripe does with
                        a failure after execution began, that is, as applied)
    delay               answer after delay_ms; applied false: do the work only then
    hang                nothing happens and no answer comes until the client leaves
    reject              its first meter event is accepted, and refused later for the reason `code`
    close_idle          answer, read no more, and reset the connection after delay_ms: a client that
                        sends on it meanwhile finds it stale

The last two go with any other fault of the same call.
"""
from .errors import StripeError, missing

KINDS = ("drop_after_apply", "drop_before_apply", "status", "delay", "hang", "reject", "close_idle")
FIELDS = {"method", "path", "fault", "status", "applied", "stored", "headers", "body", "delay_ms",
          "times", "probability_percent", "code"}


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
        self.code = spec.get("code") or "meter_event_customer_not_found"
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

    def end(self, id):
        """How often it fired."""
        for fault in self.list:
            if fault.id == id:
                self.list.remove(fault)
                return fault.fired
        raise missing("fault", id)

    def pick(self, call):
        """The first fault that matches and wins its draw. Some only mark the call, and the search
        goes on."""
        for fault in self.list:
            if not fault.matches(call) or not self.wins(fault):
                continue
            fault.fired += 1
            if fault.kind == "reject":
                call.rejection = fault.code
            elif fault.kind == "close_idle":
                call.close_idle_ms = fault.delay_ms
            else:
                return fault
        return None

    def wins(self, fault):
        percent = fault.probability_percent
        return percent >= 100 or self.random.random() * 100 < percent
