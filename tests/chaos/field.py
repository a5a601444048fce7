"""The servers, the aggregators in their places, and the wires between them."""

import contextlib
import random
import signal

from support.forwarder import Forwarder
from line.process import send
from line.servers import Postgres, Redis

FLUSH_MS, BATCH_MAX = [5, 20, 100, 400], [200, 1000, 5000, 50_000]
CRASHES = ["after_commit", "in_transaction", "while_reading"]
EXITS_IN_S = 30  # After SIGTERM; promised are 10 s, on a machine that is not overloaded.


def servers(folder, lossy):
    """Servers that keep what they acknowledged, whatever is done to their processes; but a lossy
    Redis may lose a second of it, as it is usually set."""
    keeping = ({"appendfsync": "everysec", "auto_aof_rewrite_percentage": 0} if lossy else
               {"appendfsync": "always", "auto_aof_rewrite_min_size": "8mb"})
    return {"redis": Redis(folder, **keeping),
            "postgres": Postgres(folder, fsync="on", synchronous_commit="on", max_connections=60)}


class Place:
    """Where an aggregator runs: with wires of its own to Redis and PostgreSQL, and another process
    with other settings each time it is started."""

    def __init__(self, line, number, seed, small_memory):
        self.line, self.number = line, number
        self.choose = random.Random(f"{seed} place {number}")
        self.memory_mb = 1 if small_memory else 64
        self.stream_wire = Forwarder(line.redis.port)
        self.ledger_wire = Forwarder(line.postgres.port)
        self.stage = None
        self.wanted = True      # False: it is down on purpose
        self.may_crash = False

    def start(self, crash=None):
        url = f"postgresql://postgres@127.0.0.1:{self.ledger_wire.port}/meterline"
        self.may_crash, self.wanted = bool(crash), True
        self.stage = self.line.start_aggregator(
            REDIS_URL=self.stream_wire.url, DATABASE_URL=url, METERLINE_TEST_CRASH=crash,
            AGGREGATOR_FLUSH_MS=self.choose.choice(FLUSH_MS),
            AGGREGATOR_BATCH_MAX=self.choose.choice(BATCH_MAX), DEDUPE_MEMORY_MB=self.memory_mb)

    def start_crashing(self):
        self.start(f"{self.choose.choice(CRASHES)}:{self.choose.randrange(1, 40)}")

    def tend(self):
        """One that killed itself as it was told is started again; any other end is a failure."""
        if not self.wanted or self.stage is None or self.stage.running:
            return
        code = self.stage.wait_exit()
        assert self.may_crash and code == -signal.SIGKILL, (
            f"{self.stage.label} ended with {code} by itself\n{self.stage.log_tail()}")
        self.start()

    def kill(self):
        self.wanted = False
        if self.stage:
            self.stage.kill9()

    def term(self):
        """SIGTERM, also to one that is frozen or cut off; the end is awaited by ended()."""
        self.wanted = False
        if self.stage.running:
            send(self.stage.pid, signal.SIGCONT)
            send(self.stage.pid, signal.SIGTERM)

    def ended(self):
        code = self.stage.wait_exit(EXITS_IN_S)
        too_early = code == -signal.SIGTERM and not self.stage.logs("started")
        assert code == 0 or too_early or self.may_crash and code == -signal.SIGKILL, (
            f"{self.stage.label} ended with {code} after SIGTERM\n{self.stage.log_tail()}")


class Field:
    """with Field(…) as field: all of it up. Places and services are numbered from 0."""

    def __init__(self, line, seed, places, services, small_memory):
        self.line = line
        self.places = [Place(line, n, seed, small_memory) for n in range(places)]
        self.service_wires = [Forwarder(line.redis.port) for _ in range(services)]
        self.services = []  # Filled by who runs them.

    def target(self, family, number):
        """Whom a fault of the plan is for."""
        if family in ("redis", "postgres"):
            return getattr(self.line, family)
        if family == "service wire":
            return self.service_wires[number]
        if family == "periods":
            return None
        place = self.places[number]
        return {"aggregator": place, "stream wire": place.stream_wire,
                "ledger wire": place.ledger_wire}[family]

    def wires(self):
        return [*self.service_wires,
                *(wire for place in self.places for wire in (place.stream_wire, place.ledger_wire))]

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        for wire in self.wires():
            wire.home = wire.target
            self.stack.enter_context(wire)
        for place in self.places:
            place.start()
        return self

    def __exit__(self, *failure):
        for place in self.places:
            place.kill()
        self.stack.close()

    def tend(self):
        for place in self.places:
            place.tend()
        for service in self.services:
            if service.error:
                raise service.error
