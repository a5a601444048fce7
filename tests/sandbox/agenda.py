"""What happens by itself, at its time: renewals, finalizing, retries, expiries. Moving the clock does all
that lies between, each at its own moment; otherwise a timer wakes it."""
import heapq

from .hosted import checkout
from .subscriptions import cycle, times

FAR_S = 3600            # a timer further ahead is set again then


class Agenda:
    def __init__(self, world):
        self.world = world
        self.entries = []       # (when, number, kind, id)
        self.count = 0
        self.timer = None
        self.running = False

    def add(self, when, kind, id):
        self.count += 1
        heapq.heappush(self.entries, (when, self.count, kind, id))
        if self.entries[0][1] == self.count and not self.running:
            self.wake()

    def watch(self, sub):
        """Come back to the subscription when something is due. An entry too many does no harm."""
        when = times.due(self.world, sub)
        if when is not None:
            self.add(when, "subscription", sub["id"])

    def run(self):
        """All that is due by now."""
        entries, clock = self.entries, self.world.clock
        if self.running or not entries or entries[0][0] > clock.now():
            return
        self.running = True
        try:
            while entries and entries[0][0] <= clock.now_s():
                when, _, kind, id = heapq.heappop(entries)
                with clock.at(when):
                    self.do(kind, id)
        finally:
            self.running = False
        self.wake()

    def do(self, kind, id):
        obj = self.world.of(KINDS[kind]).find(id)
        if obj is None:
            return
        if kind == "subscription":
            cycle.advance(self.world, obj)
            self.watch(obj)
        elif kind == "invoice":
            cycle.advance_invoice(self.world, obj)
        else:
            checkout.expire_due(self.world, obj)

    def wake(self):
        self.stop()
        if self.entries:
            wait_s = max(self.entries[0][0] - self.world.clock.now(), 0.001)
            self.timer = self.world.loop.call_later(min(wait_s, FAR_S), self.run_or_wait)

    def run_or_wait(self):
        self.timer = None
        self.run()
        if self.timer is None:
            self.wake()

    def stop(self):
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


KINDS = {"subscription": "subscription", "invoice": "invoice", "session": "checkout.session"}
