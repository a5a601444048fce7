"""meterctl status and watch: a dead stage is seen, nothing that hangs holds it up, it fits a screen."""

import json
import re
import signal
import termios
import time

import pytest

from line import Pgbouncer
from line.line import TEST_KEY
from line.process import freeze, send
from support.screen import Screen

pytestmark = pytest.mark.own_servers

SECTIONS = ["peers", "instances", "stages", "submissions", "webhooks", "messages", "rejected", "meters", "unbilled",
            "customers", "quotas", "ledger"]


def status(line, **settings):
    """(exit code, report, seconds)"""
    start = time.monotonic()
    done = line.meterctl("status", "--json", **settings)
    return done.returncode, json.loads(done.stdout), time.monotonic() - start


def states(report):
    return {row["stage"]: row["state"] for row in report["instances"]}


def peers(report):
    return {row["peer"]: row["state"] for row in report["peers"]}


def heads(text):
    """Section -> its columns."""
    found = re.findall(r"^([a-z]+)\n  (.*)$", text, re.MULTILINE)
    return {name: columns.split() for name, columns in found}


def test_a_stage_that_died_or_never_ran_is_seen(line):
    line.catalog()
    line.start_sandbox()
    code, report, _ = status(line)
    assert code == 0 and states(report) == dict.fromkeys(("aggregator", "sink", "webhookd"), "missing")
    stages = {name: line.start(name, STRIPE_SECRET_KEY=TEST_KEY)
              for name in ("aggregator", "sink", "webhookd")}
    line.wait_for(lambda: set(states(status(line)[1]).values()) == {"ready"})
    row = status(line)[1]["instances"][1]
    assert row["stage"] == "sink" and row["instance"].endswith(f":{stages['sink'].pid}")
    assert row["version"] and row["age_s"] < 15 and row["up_s"] < 60 and row["ready"] is True
    stages["sink"].kill9()
    stages["webhookd"].term()
    line.sql("UPDATE stage_instances SET seen_at = seen_at - interval '21 s' WHERE stage = 'sink'")
    code, report, _ = status(line)
    assert code == 0 and states(report) == {"aggregator": "ready", "sink": "silent", "webhookd": "missing"}
    row = report["instances"][1]
    assert row["age_s"] >= 21 and "died" in row["reason"] and row["up_s"] < row["age_s"]
    line.redis.stop()
    line.wait_for(lambda: states(status(line)[1])["aggregator"] == "not_ready")
    row = status(line)[1]["instances"][0]
    assert row["ready"] is False and "redis: not connected" in row["reason"]


def test_where_nothing_is_billed_no_sink_is_missed(line):
    assert "sink" in states(status(line)[1])
    line.sql("UPDATE metrics SET transport = 'none'")
    assert "sink" not in states(status(line)[1])


def test_columns_are_the_same_whatever_there_is(line):
    empty = line.must("meterctl", "status").stdout
    assert list(heads(empty)) == SECTIONS
    line.catalog()
    line.xadd(tenant="acme", metric="api_calls", quantity="5")
    line.xadd(tenant="acme", metric="nonsense")
    line.must("aggregator", "--once")
    full = line.must("meterctl", "status").stdout
    assert heads(full) == heads(empty)
    assert re.search(r"^  unknown_metric +1 +1 +\d+$", full, re.MULTILINE)
    assert re.search(r"^  unmapped +api_calls +1 +5$", full, re.MULTILINE)
    line.redis.stop()
    line.postgres.stop()
    done = line.meterctl("status")
    assert done.returncode == 1 and heads(done.stdout) == heads(empty)
    # What could not be read is not called none.
    assert "  none\n" in empty and "  not read\n" in done.stdout and "  none\n" not in done.stdout


def test_a_sample_says_so(line):
    client = line.client()
    for number in range(150):
        client.hset(f"quota:{{t{number}}}", mapping={"a.used_at": 1})
    assert status(line)[1]["quotas"][0]["cached"] == 150
    assert status(line)[1]["quotas"][0]["sample"] is False
    for number in range(150, 250):
        client.hset(f"quota:{{t{number}}}", mapping={"a.used_at": 1})
    quotas = status(line)[1]["quotas"][0]
    assert (quotas["cached"], quotas["sample"]) == (200, True)


def test_nothing_that_hangs_holds_it_up(line):
    line.xadd(tenant="acme", metric="x")
    for server in (line.redis, line.postgres):
        freeze(server.process.pid)
    try:
        code, report, took = status(line)
        assert code == 1 and peers(report) == {"redis": "down", "postgres": "down"} and took < 6
        send(line.redis.process.pid, signal.SIGCONT)
        code, report, took = status(line)
        assert code == 1 and peers(report) == {"redis": "up", "postgres": "down"} and took < 6
        assert report["stages"][0]["depth"] == 1
    finally:
        for server in (line.redis, line.postgres):
            send(server.process.pid, signal.SIGCONT)
    # What takes long is told as far as it came.
    connection = line.postgres.connect()
    connection.autocommit = False
    connection.cursor().execute("LOCK TABLE usage_submissions")
    code, report, took = status(line)
    assert code == 1 and peers(report) == {"redis": "up", "postgres": "slow"} and took < 6
    assert report["ledger"] and report["stages"][0]["waiting"] == 1
    connection.close()
    assert status(line)[0] == 0


def test_behind_a_pgbouncer_whose_server_is_dead(line):
    pooler = Pgbouncer(line.folder, line.postgres)
    pooler.start()
    try:
        assert status(line, DATABASE_URL=pooler.url)[0] == 0
        line.postgres.stop()
        code, report, took = status(line, DATABASE_URL=pooler.url)
        assert code == 1 and peers(report) == {"redis": "up", "postgres": "down"} and took < 6
    finally:
        pooler.close()


# watch

@pytest.fixture
def screen(line):
    made = Screen(24, 80)
    yield made
    made.close()


def fits(screen):
    return len(screen.text) <= screen.lines and all(len(row) <= screen.columns for row in screen.text)


def is_painted(screen):
    return "postgres: up" in screen.text[0] and "ledger" in screen.raw.rpartition("\x1b[H")[2]


def test_watch_fits_and_gives_the_terminal_back(line, screen):
    line.catalog()
    for number in range(30):
        line.sql("INSERT INTO rejected_events (stream, epoch, stream_id, reason, detail, fields) "
                 "VALUES ('usage:events', 1, '1-1', %s, 'by hand', '[]')", f"reason_{number}")
    screen.run(line, "meterctl", "watch", METERLINE_STREAM_SHARDS="8")
    screen.wait(lambda: is_painted(screen))
    assert fits(screen) and len(screen.text) == 24
    assert screen.modes() == {"1049"} and not termios.tcgetattr(screen.slave)[3] & termios.ECHO
    rows = [row.split()[0] for row in screen.text]
    for part in ("instances", "stages", "submissions", "webhooks", "rejected", "unbilled", "customers", "quotas", "ledger"):
        assert part in rows, screen.text
    shown = sum(row.startswith("reason_") for row in screen.text)
    assert f"{30 - shown} rejected" in screen.text[-1] and screen.text[-1].startswith("left out: ")
    # Again and again, on the same lines.
    first = screen.text[0]
    screen.wait(lambda: is_painted(screen) and screen.text[0] != first)
    assert fits(screen)
    # A larger window, a smaller one.
    for lines, columns in ((60, 120), (10, 40)):
        screen.resize(lines, columns)
        send(screen.process.pid, signal.SIGWINCH)
        screen.wait(lambda: fits(screen) and ("left out" in screen.text[-1]) == (lines == 10))
    screen.press("q")
    assert screen.process.wait_exit() == 0
    screen.wait(lambda: screen.modes() == {"25", "7"})  # What it wrote last may still be on its way.
    assert termios.tcgetattr(screen.slave) == screen.before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_however_watch_ends_the_terminal_is_as_before(line, screen, number):
    screen.run(line, "meterctl", "watch")
    screen.wait(lambda: is_painted(screen))
    send(screen.process.pid, number)
    assert screen.process.wait_exit() == 0
    screen.wait(lambda: screen.modes() == {"25", "7"})  # What it wrote last may still be on its way.
    assert termios.tcgetattr(screen.slave) == screen.before


def test_watch_stopped_by_hand_gives_the_terminal_back_meanwhile(line, screen):
    screen.run(line, "meterctl", "watch")
    screen.wait(lambda: is_painted(screen))
    send(screen.process.pid, signal.SIGTSTP)
    screen.wait(lambda: screen.modes() == {"25", "7"})
    assert termios.tcgetattr(screen.slave) == screen.before
    screen.raw = ""
    send(screen.process.pid, signal.SIGCONT)
    screen.wait(lambda: is_painted(screen))
    assert screen.modes() == {"1049"}


def test_watch_tells_who_is_down(line, screen):
    line.redis.stop()
    screen.run(line, "meterctl", "watch")
    screen.wait(lambda: "redis: down" in screen.text[0] and "ledger" in screen.raw)
    assert fits(screen)
