"""How the calls of each transport fail, and what Stripe holds afterwards.

Each fault strikes any call with so many percent. None of them is told to us in advance, and all of them
are what Stripe or the way there does: work done whose answer is lost, answers that tell nothing, limits,
answers that come too late, connections that are closed while they rest."""

import dataclasses

TIMEOUT_MS = 1500           # Of a call; the sandbox's delays are longer.
LATE_MS = 2500
IN_USE = {"error": {"type": "idempotency_error", "code": "idempotency_key_in_use",
                    "message": "There is currently another in-progress request using this key."}}
BUSY = {"error": {"type": "invalid_request_error", "code": "lock_timeout", "message": "Locked."}}
EXPIRED = {"error": {"type": "temporary_session_expired",
                     "code": "billing_meter_event_session_expired", "message": "Expired."}}


def status(percent, number, **more):
    return {"fault": "status", "status": number, "applied": False, "probability_percent": percent,
            **more}


COMMON = [
    {"fault": "close_idle", "probability_percent": 3, "delay_ms": 5},
    {"fault": "drop_after_apply", "probability_percent": 3},
    {"fault": "drop_before_apply", "probability_percent": 2},
    status(2, 500),
    status(0.5, 502, applied=True, stored=False, body="<html>bad gateway</html>"),
    status(1, 409, body=IN_USE),
    status(1, 409),
    status(1, 429, body=BUSY),
    status(1, 429, headers={"Stripe-Rate-Limited-Reason": "endpoint-concurrency"}),
    status(0.5, 503, headers={"Stripe-Should-Retry": "true", "Retry-After": "1"}),
    {"fault": "delay", "probability_percent": 0.7, "delay_ms": LATE_MS},
    {"fault": "delay", "probability_percent": 0.7, "delay_ms": LATE_MS, "applied": False},
    {"fault": "hang", "probability_percent": 0.2},
]
# So few that each is among the samples that a report names.
REJECTED = [{"fault": "reject", "probability_percent": 0.15, "code": "archived_meter"},
            {"fault": "reject", "probability_percent": 0.15}]


@dataclasses.dataclass(frozen=True)
class Transport:
    name: str
    path: str               # Of its calls, as a prefix.
    faults: list
    tenants: int = 500
    steps: int = 10

    def calm(self, sandbox):
        sandbox.clear_faults()

    def trouble(self, sandbox):
        for fault in self.faults:
            sandbox.fault(method="POST", path=self.path, **fault)

    def settings(self, sandbox):
        """More settings of the sinks."""
        return {}

    def rejected(self, sandbox):
        """The identifiers that Stripe accepted and refused later."""
        return {event["identifier"] for event in sandbox.meter_events()
                if event["status"] == "rejected"}

    def held(self, line):
        """{(tenant, metric): units in the current period}, by what Stripe says."""
        tenants = {row.stripe_customer_id: row.tenant for row in line.sql(
            "SELECT tenant, stripe_customer_id FROM billing_customers")}
        return {(tenants[row["customer"]], row["event_name"]): int(row["value"])
                for row in line.sandbox.totals()}


METER_EVENTS = Transport("meter_events", "/v1/billing/meter_events", COMMON + REJECTED)
