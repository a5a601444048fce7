"""Reports of meter events that were accepted and then refused: gathered for a moment, then one thin
event for each meter, with samples of the identifiers, never all of them."""
from .clock import rfc3339

GATHER_S = 0.2
SAMPLES = 5


class MeterErrors:
    def __init__(self, world):
        self.world = world
        self.samples = SAMPLES
        self.waiting = {}       # meter id or None -> {code: [(message, identifier, request id)]}
        self.since = None

    def add(self, meter, code, message, identifier, call):
        if self.since is None:
            self.since = self.world.clock.now()
            self.world.loop.call_later(GATHER_S, self.report)
        codes = self.waiting.setdefault(meter["id"] if meter else None, {})
        codes.setdefault(code, []).append((message, identifier, call))

    def report(self):
        waiting, since = self.waiting, self.since
        self.waiting, self.since = {}, None
        for meter_id, codes in waiting.items():
            related = meter_id and {"id": meter_id, "type": "billing.meter",
                                    "url": "/v1/billing/meters/" + meter_id}
            name = "error_report_triggered" if meter_id else "no_meter_found"
            self.world.events.record_thin("v1.billing.meter." + name, related,
                                          self.data(codes, since))

    def data(self, codes, since):
        count = sum(len(errors) for errors in codes.values())
        return {"developer_message_summary": "There %s %d invalid event%s" % (
                    "is" if count == 1 else "are", count, "" if count == 1 else "s"),
                "reason": {"error_count": count, "error_types": [
                    {"code": code, "error_count": len(errors),
                     "sample_errors": [sample(error) for error in errors[:self.samples]]}
                    for code, errors in codes.items()]},
                "validation_start": rfc3339(since),
                "validation_end": rfc3339(self.world.clock.now())}


def sample(error):
    message, identifier, call = error
    return {"error_message": message, "request": {
        "identifier": identifier, "id": call.request_id, "idempotency_key": call.idempotency_key}}
