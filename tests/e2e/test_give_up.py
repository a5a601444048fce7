"""A run that is to end by itself ends: with a server away, or nothing to work on, after its patience."""

import time

import pytest

from line import Line
from line.line import STREAM
from support.ledger_proof import Emitter, assert_balanced

pytestmark = pytest.mark.own_servers

RUNS = {"aggregator": ("aggregator", ["--once"], "redis postgres"),
        "sink": ("sink", ["--once"], "postgres"),
        "dry run": ("sink", ["--dry-run"], "postgres")}
CASES = [(run, server) for run, (_, _, servers) in RUNS.items() for server in servers.split()]
PATIENCE_S = 3


def begin(line, run, *args):
    name, flags, _ = RUNS[run]
    return line.start(name, args=[*flags, *args])


@pytest.mark.parametrize("run, server", CASES)
def test_a_run_gives_up_after_a_server_was_away_for_so_long(line, run, server):
    getattr(line, server).stop()
    began = time.monotonic()
    stage = begin(line, run, "--give-up-after", PATIENCE_S)
    assert stage.wait_exit(30) == 1
    assert time.monotonic() - began >= PATIENCE_S
    told = stage.logs("gave_up", level="error", waited_s=PATIENCE_S)
    assert len(told) == 1 and told[0]["msg"].startswith(f"{server}: not connected: ")


@pytest.mark.parametrize("run, server", CASES)
def test_a_server_that_comes_back_in_time_is_waited_for(line, run, server):
    getattr(line, server).stop()
    stage = begin(line, run, "--give-up-after=60")
    stage.wait_log("peer_lost", peer=server)
    getattr(line, server).start()
    assert stage.wait_exit(60) == 0
    assert not stage.logs("gave_up")


@pytest.mark.parametrize("server", ["redis", "postgres"])
def test_a_server_that_is_lost_on_the_way_is_waited_for_as_long(line, server):
    line._disconnect()
    line.redis.conf["appendfsync"] = "always"
    line.redis.restart()
    emitter = Emitter(line)
    emitter.add_all(emitter.usage(3000))
    stage = line.start("aggregator", args=["--once", "--give-up-after", PATIENCE_S],
                       AGGREGATOR_BATCH_MAX=1)
    stage.wait_log("batch_committed")
    getattr(line, server).stop()
    assert stage.wait_exit(40) == 1
    stage.wait_log("gave_up", level="error")
    getattr(line, server).start()
    line._disconnect()
    assert line.client().xlen(STREAM) > 0
    line.must("meterline-aggregator", "--once")
    assert_balanced(line)
    assert line.value("SELECT sum(counted) FROM stream_positions") == 3000


@pytest.mark.parametrize("run", RUNS)
def test_a_schema_that_does_not_come_is_not_waited_for(folder, run):
    line = Line(folder).start_servers()
    try:
        stage = begin(line, run, "--give-up-after", PATIENCE_S)
        assert stage.wait_exit(30) == 1
        assert "postgres: " in stage.logs("gave_up")[0]["msg"]
    finally:
        line.close()


def test_it_is_said_and_only_where_a_run_ends(line):
    for program in ("aggregator", "sink"):
        assert "--give-up-after" in line.must(f"meterline-{program}", "--help").stdout
        for wrong in (["--give-up-after", "5"], ["--once", "--give-up-after"],
                      ["--once", "--give-up-after=0"], ["--once", "--give-up-after", "5s"]):
            done = line.run(f"meterline-{program}", *wrong)
            assert done.returncode == 2 and "--give-up-after" in done.stderr, done.stderr
