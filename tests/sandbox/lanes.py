"""One meter event call at a time for one customer and meter."""
from .errors import rate_limited


class Lanes:
    def __init__(self):
        self.busy = {}          # (customer, event_name) -> the call in flight
        self.violations = 0

    def meet(self, call):
        """Is another call in progress, be it of the same key? A client that gave up on that one cannot
        know that we still work on it: refused as Stripe would, but not held against it."""
        holder = self.busy.get(call.lane)
        if holder is not None and not holder.gone and not holder.connection.has_left():
            self.violations += 1

    def enter(self, call):
        if call.lane not in self.busy:
            self.busy[call.lane] = call
            return
        raise rate_limited("endpoint-concurrency", "There is already a meter event request in "
                           "progress for this customer and meter.")

    def leave(self, call):
        if self.busy.get(call.lane) is call:
            del self.busy[call.lane]
