"""make bench: how fast, how small and how fresh the aggregator is, and how fast the sink.

    run.py        the program; settings.py what it measures, and the targets
    scenario.py   floor, peer and aggregator on one stream; batches.py sizes of a batch; lag.py freshness
    sink.py       claims and sending; shop.py what there is to claim; stripe.py its peer
    webhooks.py   webhooks stored and worked; webhook_events.py what is sent, by post.c; peers/ on Node
    verdict.py    measured beside target; plots.py
    ground.py     servers and a filled stream; readers.py, cost.py, proof.py, peer.py
    fill.c floor.c lag.c   the load and the floor; events.h, wire.h, probes.h are what they share
    stripe.c ceiling.c     a stand-in for Stripe (received.h: what it got), and its bare client
"""
