"""A service by libmeterline and the emitter's daemon are killed, and Redis comes and goes: what was taken is counted once."""

import http.client
import itertools
import random
import threading
import time

import pytest

from support.emitter_client import Client
from support.ledger_proof import assert_balanced, settle
from support.seeds import new_seed, seconds

THREADS = 8
BATCH = 20
DURABLE = {"appendonly": "yes", "appendfsync": "always"}


class Poster:
    """One caller of the daemon. It repeats a batch under the same ids until each of its events is accepted."""

    def __init__(self, number, daemon_of):
        self.accepted = 0  # the first so many numbers
        self.number = number
        self.daemon_of = daemon_of
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        client = None
        for batch in itertools.count():
            ids = [f"post-{self.number}-{batch * BATCH + n}" for n in range(BATCH)]
            while not self.stopped.is_set():
                client = client if client and client.port == self.daemon_of().port("events") else Client(self.daemon_of())
                if self.post(client, ids):
                    self.accepted += BATCH
                    break
                client = None
                self.stopped.wait(0.05)
            if self.stopped.is_set():
                return

    def post(self, client, ids):
        try:
            status, _, _ = client.post([{"tenant": f"tenant-{self.number}", "metric": "api_calls", "id": id} for id in ids])
        except (OSError, http.client.HTTPException):
            return False
        return status == 202

    def stop(self):
        self.stopped.set()
        self.thread.join(30)


@pytest.mark.own_servers(redis=DURABLE)
def test_a_daemon_that_is_killed_while_redis_comes_and_goes_loses_nothing(line):
    seed = random.Random(new_seed())
    line.start_aggregator()
    running = [start(line)]
    posters = [Poster(number, lambda: running[-1]) for number in range(THREADS)]
    until = time.monotonic() + seconds("EMITTER_S", 8, 120)
    kills = 0
    try:
        while time.monotonic() < until:
            time.sleep(seed.uniform(0.2, 1))
            fault = seed.choice(["kill", "redis", "stop", "both"])
            if fault in ("redis", "both"):
                line.redis.restart()
            if fault == "stop":
                line.redis.stop()
                time.sleep(seed.uniform(0, 1))
            if fault != "redis":
                kills += 1
                running[-1].kill9()
                running.append(start(line))
            if fault == "stop":
                line.redis.start()
    finally:
        for poster in posters:
            poster.stop()
    line.wait_for(lambda: running[-1].metric("meterline_spool_waiting_events") == 0, 60, "the spool is empty")
    running[-1].wait_ready(60).term()
    settle(line)
    assert kills > 0 and sum(poster.accepted for poster in posters) > THREADS * BATCH
    for poster in posters:
        rows = line.sql("SELECT event_id, count(*) AS n FROM usage_events WHERE event_id LIKE %s GROUP BY 1", f"post-{poster.number}-%")
        found = {int(row.event_id.rpartition("-")[2]) for row in rows}
        assert all(row.n == 1 for row in rows)
        # The batch that was under way at the end may be there.
        assert set(range(poster.accepted)) <= found <= set(range(poster.accepted + BATCH)), poster.number
    audit = assert_balanced(line)
    assert audit.total("conflicts") == audit.total("rejected") == 0


def start(line):
    daemon = line.start_emitter(EMITTER_SPOOL=str(line.folder / "spool"))
    daemon.port("events")
    return daemon
