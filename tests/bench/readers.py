"""The three that read the same stream: the floor, the peer, the aggregator."""

import dataclasses
import datetime
import pathlib
import subprocess
import sys

from line import process
from line.line import STREAM

from . import settings
from .cost import Cost, follow
from .ground import tell_load

PEER = pathlib.Path(__file__).with_name("peer.py")
PEER_DATABASE = "peer"


@dataclasses.dataclass
class Reading:
    entries: int
    seconds: float
    cost: Cost
    notes: dict = dataclasses.field(default_factory=dict)

    @property
    def per_s(self):
        return self.entries / self.seconds

    def as_json(self):
        return {"entries": self.entries, "seconds": round(self.seconds, 3),
                "per_s": round(self.per_s), **self.notes,
                **{key: round(value, 2) for key, value in dataclasses.asdict(self.cost).items()}}


def read_floor(line):
    """The fastest of a few: what disturbs a run only ever makes it slower."""
    tell_load("bare XREAD loop")
    runs = [run_reader(line, [settings.TOOLS / "floor", "127.0.0.1", line.redis.port, STREAM])
            for _ in range(settings.FLOOR_READS)]
    return min(runs, key=lambda run: run.seconds)


def read_peer(line):
    """On its own database of the same server, and on the first part of the same stream."""
    tell_load("peer")
    line.sql(f"CREATE DATABASE {PEER_DATABASE}")
    line.sql("CHECKPOINT")
    url = line.postgres.url_of("postgres", PEER_DATABASE)
    reading = run_reader(line, [sys.executable, PEER, line.redis.url, url, STREAM,
                                settings.PEER_EVENTS])
    line.client().xgroup_destroy(STREAM, "peer")
    with line.postgres.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_total_relation_size('events') / count(*)::float8 FROM events")
        reading.notes["bytes_per_event"] = round(cursor.fetchone()[0], 1)
    connection.close()
    line.sql(f"DROP DATABASE {PEER_DATABASE}")
    return reading


def run_reader(line, command):
    """One that prints `<entries> <seconds>`."""
    child = process.spawn(command, stdout=subprocess.PIPE, text=True)
    cost = follow(line, child)
    if child.returncode != 0:
        sys.exit(f"{command[0]} ended with {child.returncode}")
    entries, seconds = child.stdout.read().split()
    child.stdout.close()
    return Reading(int(entries), float(seconds), cost)


def drain(line, entries, **options):
    """The aggregator, until all is committed, folded and trimmed."""
    tell_load("aggregator " + " ".join(f"{name}={value}" for name, value in options.items()))
    line.sql("CHECKPOINT")
    stage = line.start("aggregator", args=["--once"], LOG_LEVEL="info", **options)
    cost = follow(line, stage.process)
    stage.wait_exit()
    drained = stage.logs("stream_caught_up")
    if stage.returncode != 0 or not drained:
        sys.exit(f"the aggregator ended with {stage.returncode}\n{stage.log_tail()}")
    seconds = (logged_at(drained[-1]) - logged_at(stage.logs("stream_opened")[0])).total_seconds()
    return Reading(entries, max(seconds, 0.001), cost, table_notes(drained[-1], cost))


def table_notes(drained, cost):
    """The deduplication table, and the memory that is not the table."""
    table_bytes, keys = int(drained["dedupe_bytes"]), int(drained["dedupe_keys"])
    return {"dedupe_keys": keys, "dedupe_bytes_per_key": round(table_bytes / max(keys, 1), 2),
            "beside_table_mib": round(cost.peak_mib - table_bytes / 1024 / 1024, 1)}


def logged_at(record):
    return datetime.datetime.fromisoformat(record["ts"].replace("Z", "+00:00"))
