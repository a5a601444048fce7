"""What services emit, step by step, and the totals that must come of it."""

import collections
import decimal
import random

from .catalog import LAST, SUMS

SEATED, SEAT_STEPS = 40, 4  # Values that rise need a minute each, and only four may lie ahead.
REPEATS = 0.03


class Usage:
    """step(n) for n from 0: the events of that step. totals: {(tenant, metric): quantity} so far. Every
    event changes its whole total, so that each step makes one submission of each lane."""

    def __init__(self, seed, tenants, leaving, transport):
        """leaving: tenants whose customers are deleted meanwhile."""
        self.seed, self.tenants, self.leaving = seed, tenants, leaving
        self.steps, self.metrics = transport.steps, transport.metrics
        self.totals = collections.defaultdict(decimal.Decimal)

    @property
    def lanes(self):
        return len(self.tenants) * len(SUMS)

    def step(self, n):
        choose = random.Random(f"{self.seed} step {n}")
        for tenant in [*self.tenants, *self.leaving]:
            for metric in SUMS:
                yield from self.event(choose, tenant, metric, self.growth(choose, n), n)
        seated = self.tenants[:SEATED] if LAST in self.metrics and n < SEAT_STEPS else ()
        for tenant in seated:
            yield from self.event(choose, tenant, LAST, decimal.Decimal(10 * (n + 1) - n % 3), n)

    def growth(self, choose, n):
        """A tenth of them takes something back, but at the end all of it is made up for."""
        units = decimal.Decimal(choose.randrange(100, 100_000_000)).scaleb(-choose.choice([0, 0, 2]))
        if n == self.steps - 1:
            return units + 10**9
        return -units if choose.random() < 0.1 else units

    def event(self, choose, tenant, metric, quantity, n):
        self.totals[tenant, metric] = (quantity if metric == LAST else
                                       self.totals[tenant, metric] + quantity)
        event = {"tenant": tenant, "metric": metric, "quantity": f"{quantity:f}",
                 "id": f"{metric}-{n}"}
        yield event
        if choose.random() < REPEATS:
            yield event
