"""A round with failures that Stripe stores for their keys, calls that hang, and three sinks that are killed: what
is in doubt since then is resolved by Stripe's summaries, hours later."""

from support.moved_clock import move_clock

from .proof import Proof
from .run import DRAIN_S, Round
from .transports import METERS, Transport, faults, status

HANG = {"fault": "hang", "probability_percent": 1.5}
STORED = [status(2, 500, stored=True), status(2, 500, applied=True),
          status(0.5, 503, applied=True, headers={"Stripe-Should-Retry": "true"})]
METER_EVENTS = Transport("meter_events", "/v1/billing/meter_events", [HANG, *STORED, *faults()], METERS,
                         tenants=120)
READ_S = 200        # A reading a second and more, on a machine that does much else.
# Since the last try: before the first reading, and an hour before the second.
HOURS_S = [2 * 3600 + 300, 3 * 3600 + 600]
UNREAD = """
    SELECT count(*) FROM usage_submissions
     WHERE state = 'in_doubt' AND (doubt_read_at IS NULL OR doubt_read_at < now() - interval '30 minutes')"""


class StoredRound(Round):
    sinks, leaving = 3, 0

    def __init__(self, line, seed, seconds):
        super().__init__(line, seed, seconds, METER_EVENTS)

    def prove(self):
        """What was in doubt is settled, and then all is as in any other round."""
        doubted = self.states().get("in_doubt", 0)
        self.tell(f"{doubted} are in doubt; {self.line.sandbox.excused()} calls were read late in the middle of"
                  f" another one of their lane; violations: {self.line.sandbox.violations()}")
        assert doubted > 0
        for offset_s in HOURS_S:
            self.go_on(offset_s)
        assert "in_doubt" not in self.states(), self.states()
        self.drain()
        Proof(self.line, self.transport, self.usage).prove(self.tell)

    def go_on(self, offset_s):
        for stage in self.line.stages:
            stage.close()
        move_clock(self.line, offset_s)
        for place in self.places:
            place.settings["SINK_RECONCILE_RATE_PER_S"] = 1000
            place.start()
        self.line.wait_for(lambda: self.line.value(UNREAD) == 0, READ_S, "what is in doubt is read")
        self.tell(f"after {offset_s} s: {self.states()}")
