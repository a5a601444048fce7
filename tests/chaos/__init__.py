"""Faults at random under load, and the proof that every event still counted once.

    plan.py      which fault strikes whom, when and for how long: from a seed, before anything runs
    catalog.py   metrics of every aggregation, tenants, and the streams that they go to
    usage.py     what services send: usage, repeats, conflicts, late and broken events, retractions
    service.py   one service: sends without pause, and again whatever was not acknowledged
    journal.py   what really is in the streams, noted by Redis in one step with each XADD
    field.py     the servers, the aggregators and the wires between them
    faults.py    doing each kind of fault to the field, and undoing it
    periods.py   subscriptions that come and move meanwhile
    run.py       one round: all of it together, then the healing
    proof.py     what the ledger must hold, by the oracle
"""
