"""Which fault strikes whom, when and for how long. All of it comes from the seed, before anything
runs, so that a seed repeats a run's decisions."""

import collections
import random

# at_s: since the round began. for_s: until it is undone. roll: for what else the fault decides.
Fault = collections.namedtuple("Fault", "at_s target kind for_s roll")

FIRST_S, LAST_S = 2, 3  # Quiet at the beginning, and before the end.

# One lane each: target kind -> (mean rest in s, {fault: (weight, shortest s, longest s)}).
LANES = {
    "aggregator": (7, {"kill": (4, 0, 5), "term": (2, 0, 3), "pause": (3, 0.05, 8),
                       "freeze while sending": (2, 0.5, 6), "crash at a point": (3, 0, 1)}),
    "ledger wire": (7, {"cut": (3, 0, 4), "stall": (2, 0.2, 6), "delay": (2, 1, 8),
                        "cut before commit": (3, 0, 1), "cut after commit": (4, 0, 1)}),
    "stream wire": (7, {"cut": (3, 0, 4), "stall": (2, 0.2, 6), "delay": (2, 1, 8)}),
    "service wire": (6, {"cut": (4, 0, 3), "stall": (2, 0.2, 5), "delay": (1, 1, 4)}),
    "redis": (14, {"kill": (4, 0, 3), "restart": (1, 0, 1), "pause": (3, 0.1, 5),
                   "drop clients": (2, 0, 0)}),
    "postgres": (16, {"kill": (4, 0, 3), "immediate stop": (2, 0, 2), "restart": (1, 0, 1),
                      "pause": (3, 0.1, 5), "drop clients": (3, 0, 0)}),
    "periods": (5, {"move": (1, 0, 0)}),
}
LOSS = {"lose the last second": (6, 0, 2)}


def make_plan(seed, seconds, counts, lossy=False):
    """The faults of a round, in order of time. counts: how many there are of a target, if not 1."""
    faults = []
    for kind in LANES:
        for number in range(counts.get(kind, 1)):
            target = f"{kind} {number}" if kind in counts else kind
            choose = random.Random(f"{seed} {target}")
            mean_s, kinds = LANES[kind]
            if lossy and kind == "redis":
                kinds = {**kinds, **LOSS}
            faults += lane(choose, target, seconds, mean_s, kinds)
    return sorted(faults)


def lane(choose, target, seconds, mean_s, kinds):
    at_s = FIRST_S + choose.expovariate(1 / mean_s)
    while at_s < seconds - LAST_S:
        kind, = choose.choices(list(kinds), [weight for weight, _, _ in kinds.values()])
        _, shortest_s, longest_s = kinds[kind]
        # Short ones are as likely as long ones.
        for_s = min(shortest_s + (longest_s - shortest_s) * choose.random() ** 2,
                    seconds - LAST_S - at_s)
        yield Fault(round(at_s, 3), target, kind, round(for_s, 3), choose.random())
        at_s += for_s + 0.3 + choose.expovariate(1 / mean_s)
