"""Subscriptions that come, and whose periods move, while usage is counted."""

import contextlib
import queue
import threading
import time

import psycopg2

from support.aggregator import SUBSCRIBE
from support.usage_oracle import MINUTE_MS, month_of

DAY_MS = 86_400_000
FARTHEST_DAYS = 26  # The current period, a month long, is not over yet.
SUBSCRIBE_AS_WEBHOOKD = f"""
    SET LOCAL ROLE meterline_webhookd;
    SET LOCAL statement_timeout = '20s';
    {SUBSCRIBE}"""


class Periods(threading.Thread):
    """with Periods(…) as periods: moves happen one after the other, each as often as it takes to be
    sure of it. Afterwards periods(tenant, minute) tells where the period of that minute starts."""

    def __init__(self, postgres, tenants):
        super().__init__(daemon=True, name="periods")
        self.postgres, self.tenants = postgres, tenants
        self.moves = queue.SimpleQueue()
        self.edges = {}
        self.began_ms = int(time.time() * 1000)

    def move(self, roll):
        """Where the current period of a tenant starts from now on: earlier or later than before."""
        place, days = divmod(roll * len(self.tenants), 1)
        start = self.began_ms - int((0.1 + days * FARTHEST_DAYS) * DAY_MS)
        self.moves.put((self.tenants[int(place)], start // MINUTE_MS * MINUTE_MS))

    def run(self):
        while move := self.moves.get():
            tenant, start = move
            while not self.subscribe(tenant, start):
                time.sleep(0.2)
            kept = [edge for edge in self.edges.get(tenant, []) if edge < start]
            self.edges[tenant] = [*kept, start]

    def subscribe(self, tenant, start):
        """False: unknown, or not done. Doing it twice is doing it once."""
        with contextlib.suppress(psycopg2.Error):
            with contextlib.closing(self.postgres.connect()) as connection:
                connection.autocommit = False
                connection.cursor().execute(SUBSCRIBE_AS_WEBHOOKD, {"tenant": tenant, "start": start})
                connection.commit()
                return True
        return False

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *failure):
        self.end()

    def end(self):
        self.moves.put(None)
        self.join(60)
        assert not self.is_alive(), "a subscription cannot be stored"

    def __call__(self, tenant, minute_ms):
        """The month until a tenant's first edge, then from edge to edge."""
        passed = [edge for edge in self.edges.get(tenant, []) if edge <= minute_ms]
        return max(passed, default=month_of(tenant, minute_ms))
