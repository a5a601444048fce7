"""One running program of the line as seen from outside: its log, its ops listener, its exit code."""

import collections
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request

from . import logfmt
from .paths import programs
from .process import freeze, send, spawn
from .prometheus import Metrics
from .wait import NotInTime, wait_until

# Twelve hours from now, so that no test meets the sink's nightly comparison unless it wants to.
NOT_NOW = time.strftime("%H:%M", time.gmtime(time.time() + 12 * 3600))

DEFAULTS = {"OPS_LISTEN": "127.0.0.1:0", "WEBHOOKD_LISTEN": "127.0.0.1:0", "EMITTER_LISTEN": "127.0.0.1:0", "API_LISTEN": "127.0.0.1:0",
            "LOG_FORMAT": "logfmt", "LOG_LEVEL": "info", "SINK_RECONCILE_AT": NOT_NOW,
            "STRIPE_API_BASE": "http://127.0.0.1:1"}  # Without a sandbox nobody, never Stripe.
TERM_TIMEOUT_S = 10  # Promised by every stage.


def program(name):
    """The path of `aggregator`, `sink`, … or of a program by its full name, as `meterctl`."""
    folder = programs()
    path = folder / f"meterline-{name}"
    if not path.exists():
        path = folder / name
    if not path.exists():
        raise FileNotFoundError(f"no program {name} in {folder}: run `make` first")
    return path


class Stage:
    """Starts at once. env: its settings, on top of DEFAULTS; nothing else of our environment
    reaches it. METERLINE_TEST_CRASH=<point> among them makes it kill itself there."""

    def __init__(self, name, env=None, args=(), label=None, log_path=None, **popen):
        self.name = name
        self.label = label or name
        self._records = []
        self._tail = collections.deque(maxlen=500)
        self._changed = threading.Condition()
        self._ended = False
        self._log = open(log_path, "ab") if log_path else None
        self.process = spawn([program(name), *args], env={**DEFAULTS, **(env or {})},
                             stderr=subprocess.PIPE,
                             **{"stdout": subprocess.DEVNULL, **popen})
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stderr:
            if self._log:
                self._log.write(line)
                self._log.flush()
            text = line.decode("utf-8", errors="replace").rstrip("\n")
            record = logfmt.parse(text)
            with self._changed:
                self._tail.append(text)
                if record:
                    self._records.append(record)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        if self._log:
            self._log.close()

    # The log.

    def mark(self):
        """How far the log has come, for since= of wait_log and logs."""
        with self._changed:
            return len(self._records)

    def logs(self, event=None, since=0, **match):
        """The records so far of this event and with these values, oldest first."""
        with self._changed:
            return [record for record in self._records[since:] if fits(record, event, match)]

    def wait_log(self, event, timeout=15, since=0, **match):
        """The first record of this event with these values. Waits for it if it was not logged yet."""
        deadline = time.monotonic() + timeout
        seen = since
        with self._changed:
            while True:
                for record in self._records[seen:]:
                    if fits(record, event, match):
                        return record
                seen = len(self._records)
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    break
                self._changed.wait(left)
        why = "ended" if self._ended else f"is silent for {timeout} s"
        raise NotInTime(f"{self.label} {why}, without logging event={event} {match or ''}\n"
                        f"{self.log_tail()}")

    def log_tail(self, lines=25):
        with self._changed:
            tail = list(self._tail)[-lines:]
        state = "running" if self.running else f"exit {self.returncode}"
        return "\n".join([f"--- {self.label} ({state}), last lines:", *tail])

    # The listeners.

    def port(self, name, timeout=15):
        """The port of its listener of this name, from the log."""
        return int(self.wait_log("listening", timeout, name=name)["address"].rpartition(":")[2])

    @property
    def ops_port(self):
        return self.port("ops")

    @property
    def webhook_url(self):
        return f"http://127.0.0.1:{self.port('webhooks')}/webhooks/stripe"

    def get(self, path, timeout=5):
        """(status, text) of a GET at the ops listener."""
        url = f"http://127.0.0.1:{self.ops_port}{path}"
        try:
            with OPENER.open(url, timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metrics(self):
        status, text = self.get("/metrics")
        assert status == 200, f"/metrics answered {status}: {text}"
        return Metrics(text)

    def metric(self, name, **labels):
        return self.metrics().value(name, **labels)

    def ready(self):
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False

    def wait_ready(self, timeout=20):
        wait_until(lambda: self.ready() or not self.running, timeout, f"{self.label} is ready",
                   explain=self.log_tail)
        assert self.running, self.log_tail()
        return self

    # The process.

    @property
    def pid(self):
        return self.process.pid

    @property
    def returncode(self):
        """None while it runs; -9 if killed by SIGKILL."""
        return self.process.poll()

    @property
    def running(self):
        return self.returncode is None

    def wait_exit(self, timeout=20):
        """Wait until the program ends by itself and its whole log is read. Returns the exit code."""
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise NotInTime(f"{self.label} did not end in {timeout} s\n{self.log_tail()}") \
                from None
        self._reader.join(5)
        return self.returncode

    def term(self):
        """Send SIGTERM, and check what is promised then: exit code 0 within 10 s."""
        send(self.pid, signal.SIGTERM)
        code = self.wait_exit(TERM_TIMEOUT_S)
        assert code == 0, f"{self.label} ended with {code} after SIGTERM\n{self.log_tail()}"

    def kill9(self):
        if self.running:
            self.process.kill()
        self.wait_exit()

    def pause(self):
        freeze(self.pid)

    def resume(self):
        send(self.pid, signal.SIGCONT)

    def close(self):
        self.kill9()


# Straight to the loopback, whatever proxy the environment names.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def fits(record, event, match):
    return (event is None or record.get("event") == event) and all(
        record.get(key) == str(value) for key, value in match.items())
