"""When sinks die and Stripe has its bad moments. All of it comes from the seed, before anything runs."""

import random

from chaos.plan import lane

# Mean rest in s, and {what: (weight, shortest s, longest s)}. A killed sink keeps its lanes for 20 s and the
# time of a call, so that killing more often would only mean to wait.
SINK = (5, {"kill": (4, 0, 3), "crash at a point": (5, 0, 0), "freeze": (1, 0.2, 3)})
STRIPE = (4, {"limits the rate": (2, 0, 0.5), "is away": (2, 0, 2), "is silent": (1, 0, 1),
              "refuses the key": (1, 0, 1), "stalls": (2, 1.5, 4)})
CRASHES = ["in_claim", "after_pick", "after_apply"]

# What a bad moment is, for every call in it. One that stalls reads nothing, and then all at once.
MOMENTS = {
    "limits the rate": {"fault": "status", "status": 429,
                        "headers": {"Stripe-Rate-Limited-Reason": "global-rate"}},
    "is away": {"fault": "drop_before_apply"},
    "is silent": {"fault": "hang"},
    "refuses the key": {"fault": "status", "status": 401},
}


def make_plan(seed, seconds, sinks):
    """Strikes in order of time; see chaos/plan.py for their fields."""
    strikes = []
    for number in range(sinks):
        strikes += lane(random.Random(f"{seed} sink {number}"), f"sink {number}", seconds, *SINK)
    strikes += lane(random.Random(f"{seed} stripe"), "stripe", seconds, *STRIPE)
    return sorted(strikes)
