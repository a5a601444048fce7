"""Emitting to several streams with an oracle beside, as services with a setting of their own do."""

import binascii
import contextlib
import random
import threading
import time

from redis import RedisError

from line import wait_until
from support.ledger_proof import prove
from support.usage_oracle import Oracle

KEY = "usage:events"


def streams(shards):
    return [KEY] if shards == 1 else [f"{KEY}:{{{n}}}" for n in range(shards)]


def shard_of(tenant, shards):
    """Redis' own CRC16, by which clusters spread keys."""
    return binascii.crc_hqx(tenant.encode(), 0) % shards


def stream_of(tenant, shards):
    return streams(shards)[shard_of(tenant, shards)]


class ShardFlow(threading.Thread):
    """A service that never stops adding: with ids, without, and some ids again, up to all that came
    before. `shards` may be changed meanwhile: the setting of the service. Use with `with`."""

    def __init__(self, line, shards, tenants=40, repeats=0.05, rest_s=0.002, seed=3):
        super().__init__(daemon=True)
        self.client = line.redis.client(socket_timeout=2)
        self.oracle = Oracle()
        self.shards, self.tenants, self.repeats, self.rest_s = shards, tenants, repeats, rest_s
        self.choose = random.Random(seed)
        self.sent = []  # events with ids
        self.added = self.repeated = 0
        self._ending = threading.Event()

    def run(self):
        while not self._ending.is_set():
            event = {"tenant": f"t{self.choose.randrange(self.tenants)}", "metric": "api_calls",
                     "quantity": self.choose.randrange(1, 9), "id": f"f-{self.added}",
                     "ts": int(time.time() * 1000)}
            self.oracle.take(f"{event['ts']}-{self.added}", event)
            self.sent.append(event)
            self._add(event)
            self.added += 1
            if self.choose.random() < self.repeats:
                self._add(self.choose.choice(self.sent))
                self.repeated += 1
            self._ending.wait(self.rest_s)

    def repeat_all(self):
        """Every event so far once more, by the current setting. Returns how many."""
        events = list(self.sent)
        for event in events:
            self._add(event)
        self.repeated += len(events)
        return len(events)

    def _add(self, event):
        # An answer that is lost may mean that it was added: then it comes twice, with its id.
        while True:
            with contextlib.suppress(RedisError, ConnectionError):
                return self.client.xadd(stream_of(event["tenant"], self.shards), event)
            self._ending.wait(0.02)

    def wait_added(self, more):
        target = self.added + more
        wait_until(lambda: self.added >= target, 60, f"{target} events are added")

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *failure):
        self._ending.set()
        self.join(30)


def settle_all(line, timeout=60):
    """Waits until nothing waits in any stream, and no entry of another shard is left to replay."""
    def is_settled():
        client = line.client()
        keys = [key for key in client.scan_iter(f"{KEY}*") if client.xlen(key) > 0]
        return not keys and not line.value(
            "SELECT count(*) FROM rejected_events WHERE reason = 'wrong_shard'"
            " AND replayed_at IS NULL")
    line.wait_for(is_settled, timeout, "everything in all streams is in the ledger")


def prove_all(line, flow):
    settle_all(line)
    prove(line, flow.oracle, entries=False)


def owners(line, shards):
    """How many of the streams each running process holds: {pid: count}."""
    held = {}
    for row in line.sql("SELECT owner FROM stream_positions WHERE stream = ANY(%s)"
                        " AND lease_until > clock_timestamp()", streams(shards)):
        if row.owner:
            pid = int(row.owner.split("-")[0])
            held[pid] = held.get(pid, 0) + 1
    return held


def spread(line, shards):
    """The counts alone, in descending order."""
    return sorted(owners(line, shards).values(), reverse=True)
