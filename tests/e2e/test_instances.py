"""Every daemon tells that it runs: a row in stage_instances, that goes in peace and stays in death."""

import json

import pytest

from line.line import TEST_KEY

STAGES = ("aggregator", "sink", "webhookd")


def instances(line, stage=None):
    return line.sql("SELECT stage, pid, version, ready, reason, seen_at > now() - interval '15 s' AS fresh "
                    "FROM stage_instances WHERE %s::text IS NULL OR stage = %s ORDER BY stage, started_at",
                    stage, stage)


@pytest.fixture
def running(line):
    line.catalog()
    line.start_sandbox()
    stages = {name: line.start(name, STRIPE_SECRET_KEY=TEST_KEY) for name in STAGES}
    line.wait_for(lambda: [(row.stage, row.ready) for row in instances(line)] == [
        (name, True) for name in STAGES])
    return line, stages


def test_a_row_each_that_goes_with_a_clean_end(running):
    line, stages = running
    assert {row.stage: row.pid for row in instances(line)} == {
        name: stage.pid for name, stage in stages.items()}
    assert all(row.fresh and row.version and row.reason is None for row in instances(line))
    for name, stage in stages.items():
        stage.term()
        assert instances(line, name) == []


def last_seen(line, pid, ago):
    line.sql("UPDATE stage_instances SET seen_at = now() - %s::interval, started_at = now() - %s::interval - interval '1 day' "
             "WHERE pid = %s", ago, ago, pid)


def shown(line, stage):
    """State and up_s of each, as `meterctl status` tells them."""
    report = json.loads(line.must("meterctl", "status", "--json").stdout)
    return {int(row["instance"].split(":")[-1]): (row["state"], row["up_s"]) for row in report["instances"]
            if row["stage"] == stage}


def test_who_was_killed_and_has_a_successor_is_gone_and_soon_forgotten(running):
    line, stages = running
    killed = stages["sink"].pid
    stages["sink"].kill9()
    last_seen(line, killed, "4 minutes")
    assert shown(line, "sink") == {killed: ("silent", 86400)}
    other = line.start_sink()
    line.wait_for(lambda: shown(line, "sink").get(killed) == ("gone", 86400))
    assert shown(line, "sink")[other.pid][0] in ("ready", "not_ready")
    # Of two that died one after the other, the last one is missed.
    other.kill9()
    line.sql("UPDATE stage_instances SET seen_at = now() - interval '1 minute' WHERE pid = %s", other.pid)
    assert {pid: state for pid, (state, _) in shown(line, "sink").items()} == {killed: "gone", other.pid: "silent"}
    third = line.start_sink()
    line.wait_for(lambda: third.pid in shown(line, "sink"))
    last_seen(line, killed, "6 minutes")
    last_seen(line, other.pid, "6 minutes")
    line.wait_for(lambda: set(shown(line, "sink")) == {third.pid})


def test_who_is_killed_leaves_a_row_that_grows_old_until_another_has_run_for_an_hour(running):
    line, stages = running
    other = line.start_sink()
    line.wait_for(lambda: len(instances(line, "sink")) == 2)
    stages["sink"].kill9()
    last_seen(line, stages["sink"].pid, "59 minutes")
    line.sql("UPDATE stage_instances SET started_at = now() - interval '2 hours' WHERE pid = %s", other.pid)
    line.wait_for(lambda: {row.pid: row.fresh for row in instances(line, "sink")} == {
        stages["sink"].pid: False, other.pid: True})
    line.sql("UPDATE stage_instances SET seen_at = now() - interval '61 minutes' WHERE pid = %s",
             stages["sink"].pid)
    line.wait_for(lambda: [row.pid for row in instances(line, "sink")] == [other.pid])
    # Of a stage in which nobody runs the row stays.
    stages["webhookd"].kill9()
    line.sql("UPDATE stage_instances SET seen_at = now() - interval '2 hours' WHERE stage = 'webhookd'")
    third = line.start_sink()
    line.wait_for(lambda: third.pid in [row.pid for row in instances(line, "sink")])
    assert [row.pid for row in instances(line, "webhookd")] == [stages["webhookd"].pid]


@pytest.mark.own_servers
def test_who_is_not_ready_says_why(running):
    line, stages = running
    line.redis.stop()
    for name in ("aggregator", "webhookd"):
        line.wait_for(lambda: [(row.ready, "redis: not connected" in (row.reason or ""))
                               for row in instances(line, name)] == [(False, True)])
    line.redis.start()
    line.wait_for(lambda: [(row.stage, row.ready, row.reason) for row in instances(line)] == [
        (name, True, None) for name in STAGES])
    line.postgres.stop()
    line.postgres.start()
    # Heard since it is back: whoever ends before that cannot take its row along.
    line.wait_for(lambda: line.sql("SELECT count(*) FROM stage_instances WHERE ready "
                                   "AND seen_at > pg_postmaster_start_time()")[0].count == len(STAGES))
    for stage in stages.values():
        stage.term()
    assert instances(line) == []


def test_each_is_its_own_health_check(running):
    """What a container engine runs beside it: `--healthcheck`, by the same settings, and an exit code."""
    line, stages = running
    for name, stage in stages.items():
        address = f"127.0.0.1:{stage.port('ops')}"
        settings = {"OPS_LISTEN": address, "STRIPE_SECRET_KEY": TEST_KEY}
        well = line.run(name, "--healthcheck", **settings)
        assert (well.returncode, well.stdout) == (0, "ready\n"), well.stderr
        stage.pause()
        hangs = line.run(name, "--healthcheck", **settings)
        assert hangs.returncode == 1 and "/readyz: " in hangs.stderr
        stage.resume()
        stage.term()
        gone = line.run(name, "--healthcheck", **settings)
        assert gone.returncode == 1 and address in gone.stderr
        assert line.run(name, "--healthcheck", **{**settings, "OPS_LISTEN": "127.0.0.1:0"}).returncode == 2


@pytest.mark.own_servers
def test_a_health_check_says_why_a_stage_is_not_ready(running):
    line, stages = running
    line.redis.stop()
    line.wait_for(lambda: not stages["aggregator"].ready())
    ill = line.run("aggregator", "--healthcheck", OPS_LISTEN=f":{stages['aggregator'].port('ops')}")
    assert ill.returncode == 1 and "redis" in ill.stdout
