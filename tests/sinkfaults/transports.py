"""How the calls of each transport fail, and what Stripe holds afterwards.

Each fault strikes any call with so many percent. All of them are what Stripe or the way there does: work
done whose answer is lost, answers that tell nothing, limits, answers that come too late, connections that
are closed while they rest, events that are refused after their 2xx."""

import dataclasses

from .catalog import FORMULAS, SUMS

TIMEOUT_MS = 1500           # Of a call; the sandbox's delays are longer.
LATE_MS = 2500


def error(type, code, message):
    return {"error": {"type": type, "code": code, "message": message}}


IN_USE = error("idempotency_error", "idempotency_key_in_use",
               "There is currently another in-progress request using this key.")
LOCKED = error("invalid_request_error", "lock_timeout", "This object cannot be accessed right now.")
EXPIRED = error("temporary_session_expired", "billing_meter_event_session_expired", "Expired.")


def status(percent, number, **more):
    return {"fault": "status", "status": number, "applied": False, "probability_percent": percent,
            **more}


def faults(many=1.0):
    """The first go with any of the others."""
    return [
        {"fault": "close_idle", "probability_percent": 3 * many, "delay_ms": 5},
        {"fault": "drop_after_apply", "probability_percent": 3 * many},
        {"fault": "drop_before_apply", "probability_percent": 2 * many},
        {"fault": "hang", "probability_percent": 0.2 * many},
        {"fault": "delay", "probability_percent": 0.7 * many, "delay_ms": LATE_MS},
        {"fault": "delay", "probability_percent": 0.7 * many, "delay_ms": LATE_MS, "applied": False},
        status(2 * many, 500),
        status(0.5 * many, 502, applied=True, stored=False, body="<html>bad gateway</html>"),
        status(0.5 * many, 503, headers={"Stripe-Should-Retry": "true", "Retry-After": "1"}),
        status(1 * many, 409, body=IN_USE),
        status(1 * many, 409),
        status(1 * many, 429, body=LOCKED),
        status(1 * many, 429, headers={"Stripe-Rate-Limited-Reason": "endpoint-concurrency"}),
    ]


def rejections(percent):
    return [{"fault": "reject", "probability_percent": percent, "code": "archived_meter"},
            {"fault": "reject", "probability_percent": percent}]


@dataclasses.dataclass(frozen=True)
class Transport:
    name: str
    path: str               # Of its calls, as a prefix.
    faults: list
    prices: dict            # For the sandbox's bootstrap.
    tenants: int = 250
    steps: int = 10
    metrics: tuple = tuple(FORMULAS)
    ends_with_period = False    # Takes nothing for a period that is over.

    def trouble(self, sandbox):
        sandbox.set(samples=1_000_000)  # What a report does not name is another test's.
        for fault in self.faults:
            sandbox.fault(method="POST", path=self.path, **fault)

    def rejected(self, sandbox):
        """The identifiers that Stripe accepted and refused later."""
        return {event["identifier"] for event in sandbox.meter_events()
                if event["status"] == "rejected"}

    def held(self, sandbox, tenants, **span):
        """{(tenant, metric): units}, by what Stripe says. tenants: {customer: tenant}; span: start and end in
        Unix seconds, the end exclusive; None: open"""
        return {(tenants[row["customer"]], row["event_name"]): int(row["value"])
                for row in sandbox.totals(**span)}


class UsageRecords(Transport):
    ends_with_period = True

    def held(self, sandbox, tenants, **span):
        return {(tenants[row["customer"]], row["metric"]): int(row["value"])
                for row in sandbox.totals("usage_records", **span)}


METERS = {"meters": [{"event_name": name, "formula": formula} for name, formula in FORMULAS.items()]}
METER_EVENTS = Transport("meter_events", "/v1/billing/meter_events", rejections(0.15) + faults(), METERS)
# Sessions as well. A batch holds up to 100, so there are few calls.
STREAM = Transport("meter_event_stream", "/v2/billing/meter_event_s",
                   rejections(3) + faults(2) + [status(2, 401, body=EXPIRED)], METERS)
USAGE_RECORDS = UsageRecords("usage_records", "/v1/subscription_items/", faults(), {"legacy": SUMS},
                             metrics=tuple(SUMS))
TRANSPORTS = [METER_EVENTS, STREAM, USAGE_RECORDS]
