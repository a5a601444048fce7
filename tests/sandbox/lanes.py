"""One meter event call at a time for one customer and meter."""
from .errors import rate_limited


class Lanes:
    def __init__(self):
        self.busy = {}          # (customer, event_name) -> the call in flight
        self.violations = 0

    def enter(self, call):
        holder = self.busy.get(call.lane)
        if holder is None:
            self.busy[call.lane] = call
            return
        # A client that gave up on its first call cannot know that we still work on it: refused as
        # Stripe would, but not held against it.
        if not holder.gone:
            self.violations += 1
        raise rate_limited("endpoint-concurrency", "There is already a meter event request in "
                           "progress for this customer and meter.")

    def leave(self, call):
        if self.busy.get(call.lane) is call:
            del self.busy[call.lane]
