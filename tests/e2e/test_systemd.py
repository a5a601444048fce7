"""What the daemons tell systemd, over a socket as systemd has one: READY, STATUS, WATCHDOG, STOPPING."""

import contextlib
import socket

import pytest

from line.wait import wait_until

STAGES = ("aggregator", "sink", "webhookd", "notifier", "api")
BEAT_S = 0.25
LONG_S = 30


class Notify:
    """systemd's end of the socket."""

    def __init__(self, name):
        self.name = name
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(name.replace("@", "\0", 1))
        self.told = []

    def env(self):
        return {"NOTIFY_SOCKET": self.name, "WATCHDOG_USEC": str(int(2 * BEAT_S * 1e6))}

    def read(self, timeout):
        """The next datagram as a dict; None if there is none within the time."""
        self.socket.settimeout(timeout)
        try:
            text = self.socket.recv(65536).decode()
        except TimeoutError:
            return None
        self.told.append(text)
        return dict(line.split("=", 1) for line in text.splitlines())

    def wait(self, name, value=""):
        """The next one in which this variable begins with the value."""
        return wait_until(lambda: (lambda told: told if told and told.get(name, "none").startswith(value) else None)
                          (self.read(LONG_S)), LONG_S, f"{name}={value}", explain=lambda: "\n".join(self.told))

    def wait_silence(self):
        """What was told before is read, and nothing comes for eight beats."""
        wait_until(lambda: self.read(8 * BEAT_S) is None, LONG_S, "it is silent")


@pytest.fixture
def notify(folder):
    own = Notify(f"@{folder}")
    with contextlib.closing(own.socket):
        yield own


def start(line, stage, notify, **env):
    return getattr(line, f"start_{stage}")(**notify.env(), **env)


@pytest.mark.parametrize("stage", [*STAGES, "emitter"])
def test_systemd_is_told_how_a_stage_is_doing(line, stage, notify):
    daemon = start(line, stage, notify)
    first = notify.read(LONG_S)
    assert first["READY"] == "1" and first["STATUS"], notify.told
    notify.wait("STATUS", "ready")
    notify.wait("WATCHDOG", "1")
    daemon.pause()  # As a loop that hangs.
    notify.wait_silence()
    daemon.resume()
    notify.wait("WATCHDOG", "1")
    daemon.term()
    notify.wait("STOPPING", "1")


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_waits_for_postgresql_at_boot_is_up(line, stage, notify):
    """Else the start timeout of Type=notify would kill it. STATUS says what it waits for."""
    daemon = start(line, stage, notify, DATABASE_URL="postgresql://127.0.0.1:1/nobody")
    told = notify.wait("READY", "1")
    assert told["STATUS"].startswith("not ready: ") and "postgres" in told["STATUS"].lower(), told
    notify.wait("WATCHDOG", "1")
    assert daemon.get("/readyz")[0] == 503
    daemon.term()


def test_what_cannot_start_is_not_ready(line, notify):
    daemon = start(line, "sink", notify, SINK_INTERVAL_S="never")
    assert daemon.wait_exit() == 2
    assert notify.read(0.01) is None
