"""What a run measures: settings from the environment, and the targets that it is held against."""

import os
import pathlib

from line.paths import BUILD, programs


def numbers(name, default):
    return [int(word) for word in os.environ.get(name, default).replace(",", " ").split()]


def number(name, default):
    return numbers(name, str(default))[0]


PARTS = os.environ.get("PARTS", "scenarios,batches,lag,sink,emit,webhooks,api").split(",")
EVENTS = number("EVENTS", 5_000_000)         # of each scenario
TENANTS = numbers("TENANTS", "100,10000,100000")
REPEATS = numbers("REPEATS", "0,5")          # percent of the entries
REPEATS_EVENTS = number("REPEATS_EVENTS", min(EVENTS, 2_000_000))  # of those that have any
REPEATS_WITHIN = number("REPEATS_WITHIN", 100_000)  # they repeat one of so many before; 0: of all
MINUTES = number("MINUTES", 1)               # over which the events were used
WINDOW = os.environ.get("WINDOW", "period")  # that all tenants' limits count over: month or day, too
FLOOR_READS = number("FLOOR_READS", 3)
PEER_EVENTS = number("PEER_EVENTS", 100_000)  # how many of them the peer takes
BATCHES = numbers("BATCHES", "1000,5000,20000,50000,100000,200000")
BATCHES_EVENTS = number("BATCHES_EVENTS", min(EVENTS, 1_000_000))
BATCHES_TENANTS = number("BATCHES_TENANTS", 10_000)
LAG_RATE = number("LAG_RATE", 20_000)        # events/s
LAG_SECONDS = number("LAG_SECONDS", 30)
LAG_TENANTS = number("LAG_TENANTS", 1_000)
PROBES_PER_S = number("PROBES_PER_S", 20)
SINK_TOTALS = number("SINK_TOTALS", 1_000_000)  # to be claimed …
SINK_METRICS = number("SINK_METRICS", 5)     # … of so many metrics each tenant
SINK_CUSTOMERS = number("SINK_CUSTOMERS", 10_000)  # of meter_events, with two meters each
SINK_STREAM_TOTALS = number("SINK_STREAM_TOTALS", 300_000)
SINK_IN_FLIGHT = number("SINK_IN_FLIGHT", 64)
SINK_DELAY_MS = number("SINK_DELAY_MS", 50)  # until the stand-in for Stripe answers
SINK_CEILING_S = number("SINK_CEILING_S", 5)  # how long the bare client calls it
WEBHOOK_TENANTS = number("WEBHOOK_TENANTS", 1_000)
WEBHOOK_CYCLES = number("WEBHOOK_CYCLES", 2)  # billing periods of each: 8 events, and 2 more at the start
WEBHOOK_ROUNDS = number("WEBHOOK_ROUNDS", 3)  # of webhookd and each peer in turn
WEBHOOK_PEERS = number("WEBHOOK_PEERS", 1)   # 0: none
EMIT_EVENTS = number("EMIT_EVENTS", 1_000_000)
EMIT_ROUNDS = number("EMIT_ROUNDS", 3)
EMIT_PER_S = number("EMIT_PER_S", 40_000)    # of 4 threads, while emit is timed
DOOR_S = number("DOOR_S", 5)                 # of each run of wrk
DOOR_BATCH = number("DOOR_BATCH", 100)       # events a request
DOOR_TENANTS = number("DOOR_TENANTS", 1_000)  # whose quotas are checked
WEBHOOK_CONNECTIONS = number("WEBHOOK_CONNECTIONS", 64)
API_CONNECTIONS = number("API_CONNECTIONS", 64)
UNBLOCK_TRIES = number("UNBLOCK_TRIES", 100)
UNBLOCK_RATE = number("UNBLOCK_RATE", 2_000)  # webhooks/s of others meanwhile …
UNBLOCK_BACKLOG = number("UNBLOCK_BACKLOG", 10_000)  # … or so many that wait

# Targets. Missing one never fails a run: speed depends on the machine and on who else uses it.
RATIO_MIN = {100: 1.0, 10_000: 0.9, 100_000: 0.4}  # of the floor, by tenants
PEER_TIMES_MIN = 10
BYTES_PER_EVENT_MAX = 50
MIB_BESIDE_TABLE_MAX = 256
BYTES_PER_KEY_MAX = 12
LAG_P99_MS_MAX = 1500
CLAIM_S_MAX = 20  # of a million totals
METER_EVENTS_PER_S_MIN = 1_000
STREAM_PER_S_MIN = 100_000
SINK_MIB_MAX = 64
EMIT_RATIO_MIN = 0.85  # of redis-benchmark
EMIT_MEDIAN_NS_MAX = 1_000
EMIT_P999_NS_MAX = 10_000
DOOR_EVENTS_PER_S_MIN = 100_000
CHECK_RATIO_MIN = 0.8  # of libmicrohttpd alone
CHECK_P99_MS_MAX = 5
READ_RATIO_MIN = 0.5  # of libmicrohttpd alone
READ_TIMES_PEER_MIN = 3
READ_P99_MS_MAX = 10
API_MIB_MAX = 96
WEBHOOK_TIMES_PEER_MIN = 4  # each peer at what it does
WEBHOOK_WORKED_PER_S_MIN = 2_000
WEBHOOK_MIB_MAX = 64
UNBLOCK_P99_MS_MAX = 1_000

TOOLS = programs().parent / "bench"  # The C programs of this folder.
OUT = pathlib.Path(os.environ.get("OUT", BUILD / "bench")).resolve()  # Logs, results, plots.

# Durable, and otherwise as PostgreSQL comes; the tests' servers have less and do not flush.
POSTGRES = {"fsync": "on", "synchronous_commit": "on", "shared_buffers": "128MB",
            "max_wal_size": "1GB"}
# No rewrite of the append-only file starts while something is measured.
REDIS = {"auto_aof_rewrite_percentage": 0}
