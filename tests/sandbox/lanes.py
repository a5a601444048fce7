"""One meter event call at a time for one customer and meter."""
from .errors import rate_limited


class Lanes:
    def __init__(self):
        self.busy = {}          # (customer, event_name) -> the call in flight
        self.violations = 0
        self.excused = 0        # met a call in progress, and its client had left before it was read

    def meet(self, call):
        """Is another call in progress, be it of the same key? A client that gave up on one of them, the
        earlier or this one, which we may have been too busy to read before it left, cannot know that
        we still work on it: refused as Stripe would, but not held against it."""
        holder = self.busy.get(call.lane)
        if holder is None or has_left(holder):
            return
        if has_left(call):
            self.excused += 1
        else:
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


def has_left(call):
    return call.gone or call.connection.has_left()
