"""Stripe and the sinks fail at random while usage grows, and each unit is billed once.

    catalog.py     what is metered, by a transport
    transports.py  how each transport's calls fail, and what Stripe holds of them
    plan.py        when sinks are killed and Stripe has its bad moments: from a seed
    usage.py       what services emit, and what must come of it
    places.py      the sinks, killed and started again
    run.py         one round: all of it together, then the healing
    proof.py       Stripe's books beside ours, to the unit
    stored.py      a round with failures that Stripe stores, and what is in doubt resolved hours later
    edge.py        a round across the end of a month, with changes of plans
"""
