"""The whole line of programs and servers in one folder. Each is started only when a test asks for it."""

import dataclasses
import pathlib
import shutil
import subprocess

import psycopg2
from redis import RedisError

from . import logfmt, process
from .paths import CATALOG, ROOT
from .servers import Postgres, Redis
from .stages import DEFAULTS, Stage, program
from .wait import wait_until

STREAM = "usage:events"
TEST_KEY = "sk_test_meterline"
TEST_WEBHOOK_SECRET = "whsec_meterline_test"
OUTAGES = (psycopg2.OperationalError, psycopg2.InterfaceError, RedisError, ConnectionError)


@dataclasses.dataclass
class Audit:
    """What meterctl audit said. streams: one dict for each stream and epoch, numbers as int."""

    exit_code: int
    streams: list
    text: str

    @property
    def ok(self):
        return self.exit_code == 0 and "audit ok" in self.text.splitlines()

    @property
    def balanced(self):
        """The balances add up, even if something waits for a person."""
        return self.ok or (self.exit_code == 4 and bool(self.attention))

    @property
    def attention(self):
        """What waits for a person, such as {"lost": "100", "failed": "13280"}."""
        last = self.text.splitlines()[-1:]
        first = "audit balanced, attention: "
        return logfmt.pairs(last[0].removeprefix(first)) if last and last[0].startswith(first) else {}

    def total(self, term):
        return sum(stream[term] for stream in self.streams)


class Line:
    """Line(folder).start_servers(); then migrate(), catalog(), start_aggregator(), …

    settings: what every program gets on top of the servers' addresses; change it at will."""

    def __init__(self, folder, redis=None, postgres=None, **settings):
        """redis, postgres: servers to use instead of private ones with the usual settings."""
        self.folder = pathlib.Path(folder).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.redis = redis or Redis(self.folder)
        self.postgres = postgres or Postgres(self.folder)
        self.settings = {"STRIPE_SECRET_KEY": TEST_KEY,
                         "STRIPE_WEBHOOK_SECRET": TEST_WEBHOOK_SECRET, **settings}
        self.stages = []
        self.sandbox = None
        self._client = None
        self._connection = None

    # Starting and ending.

    def start_servers(self):
        self.redis.start()
        self.postgres.start()
        return self

    def start_sandbox(self, **options):
        """The stand-in for Stripe, its options as flags with underscores; stages started later
        get its address as STRIPE_API_BASE."""
        # Only here: most tests need none. Started by us and not by its own start(), so that it is
        # tied to us and unmoved by Ctrl-C, like every other child.
        from sandbox.client import RUN, Sandbox
        command = [RUN, "--listen", options.pop("listen", "127.0.0.1:0")]
        for name, value in options.items():
            command += [f"--{name.replace('_', '-')}"] + ([] if value is True else [value])
        with open(self.folder / "sandbox.log", "ab") as log:
            child = process.spawn(command, stdout=subprocess.PIPE, stderr=log, text=True)
        first = child.stdout.readline()
        if not first.startswith("sandbox listening on "):
            child.kill()
            raise RuntimeError(f"the sandbox did not start: {first!r}, exit {child.wait()}")
        self.sandbox = Sandbox(child, first.split()[-1])
        return self.sandbox

    def start(self, name, args=(), label=None, popen=None, **settings):
        """Starts any program of ours as a Stage. settings: for this one only; None unsets."""
        label = label or self._label(name)
        stage = Stage(name, self.env(**settings), args, label, self.folder / f"{label}.log",
                      **(popen or {}))
        self.stages.append(stage)
        return stage

    def start_aggregator(self, **settings):
        return self.start("aggregator", **settings)

    def start_sink(self, **settings):
        return self.start("sink", **settings)

    def start_notifier(self, **settings):
        return self.start("notifier", **settings)

    def start_emitter(self, **settings):
        """meterline-emitter as a daemon."""
        return self.start("emitter", args=["--daemon"], **settings)

    def start_webhookd(self, **settings):
        return self.start("webhookd", **settings)

    def start_api(self, **settings):
        """Tests ask it by support.api."""
        return self.start("api", **settings)

    def close(self):
        """Stop everything and delete the servers' data. Logs stay in the folder."""
        for stage in self.stages:
            stage.close()
        if self.sandbox:
            self.sandbox.stop()
            self.sandbox = None
        self._disconnect()
        self.redis.close()
        self.postgres.close()

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def env(self, **settings):
        """All settings of a program on this line."""
        env = {"REDIS_URL": self.redis.url, "DATABASE_URL": self.postgres.url}
        if self.sandbox:
            env["STRIPE_API_BASE"] = self.sandbox.url
        return {**env, **self.settings, **settings}

    def _label(self, name):
        count = sum(stage.name == name for stage in self.stages)
        return f"{name}-{count + 1}" if count else name

    # Programs that run to their end.

    def run(self, name, *args, input=None, timeout=60, **settings):
        """CompletedProcess with stdout and stderr as text."""
        env = {**DEFAULTS, **self.env(**settings)}
        return process.run([program(name), *args], env=env, input=input, timeout=timeout,
                           cwd=ROOT)

    def meterctl(self, *args, **options):
        return self.run("meterctl", *args, **options)

    def must(self, name, *args, **options):
        """run(), and its exit code is 0."""
        done = self.run(name, *args, **options)
        assert done.returncode == 0, (f"{name} {' '.join(map(str, args))} ended with "
                                      f"{done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def migrate(self):
        return self.must("meterctl", "migrate")

    def catalog(self, path=CATALOG):
        return self.must("meterctl", "catalog", "apply", path)

    def audit(self):
        done = self.meterctl("audit")
        streams = []
        for line in done.stdout.splitlines():
            if line.startswith("audit stream="):
                pairs = logfmt.pairs(line)
                streams.append({key: value if key == "stream" else int(value)
                                for key, value in pairs.items()})
        return Audit(done.returncode, streams, done.stdout + done.stderr)

    # The servers, as any outsider sees them.

    def client(self):
        """A redis-py client, the same one each time."""
        if self._client is None:
            self._client = self.redis.client()
        return self._client

    def xadd(self, stream=STREAM, entry_id="*", **fields):
        """Emit one event as any service does. Returns the entry's id."""
        return self.client().xadd(stream, fields, id=entry_id)

    def emit(self, events, stream=STREAM, pipeline=1000):
        """Emit many events (dicts) in one pipeline. Returns how many."""
        sent, pipe = 0, self.client().pipeline(transaction=False)
        for event in events:
            pipe.xadd(stream, event)
            sent += 1
            if len(pipe) >= pipeline:
                pipe.execute()
        pipe.execute()
        return sent

    def sql(self, query, *params):
        """Rows (with named columns), in autocommit as superuser; [] if the statement has none."""
        if self._connection is None or self._connection.closed:
            self._connection = self.postgres.connect()
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(query, params or None)
                return cursor.fetchall() if cursor.description else []
        except OUTAGES:
            self._disconnect()
            raise

    def value(self, query, *params):
        """The one value of a query with one row and one column; None without a row."""
        rows = self.sql(query, *params)
        return rows[0][0] if rows else None

    def _disconnect(self):
        if self._connection is not None:
            self._connection.close()
        if self._client is not None:
            self._client.close()
        self._connection = self._client = None

    # Waiting and telling.

    def wait_for(self, condition, timeout=30, what="the condition holds"):
        """Poll condition until it is true, and return its value. A server that cannot be reached counts as "not yet"."""
        return wait_until(condition, timeout, what, ignore=OUTAGES, explain=self.log_tails)

    def log_tails(self, lines=25):
        """The last log lines of each program."""
        parts = [stage.log_tail(lines) for stage in self.stages]
        for server in (self.redis, self.postgres):
            tail = server.log_tail(8).strip()
            if tail:
                parts.append(f"--- {server.name}, last lines:\n{tail}")
        return "\n".join(parts)
