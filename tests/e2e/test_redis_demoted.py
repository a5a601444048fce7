"""A master that becomes a replica while it lives: no connection is cut, and none may stay."""

import time

import pytest

from support.aggregator import start
from support.forwarder import Forwarder
from support.ledger_proof import Emitter, Flow, position, prove, settle
from support.lossy_servers import wait_replicated

pytestmark = pytest.mark.own_servers

WITHIN_S = 10


def demote(line, replica):
    """The replica is the master now, and the master its replica. Connections stay as they are."""
    master = line.redis
    line._disconnect()
    with replica.client() as client:
        client.replicaof("NO", "ONE")
    with master.client() as client:
        client.replicaof("127.0.0.1", replica.port)
    line.redis = replica
    return master


def strangers(server):
    """Who is connected to it, but for this question and the replication."""
    with server.client() as client:
        me = client.client_id()
        return [each for each in client.client_list()
                if each["id"] != str(me) and not set(each["flags"]) & {"M", "S"}]


def wait_left(line, old, began):
    line.wait_for(lambda: not strangers(old), WITHIN_S + 5, "nobody is connected to the old master")
    assert time.monotonic() - began < WITHIN_S


@pytest.fixture(name="pair")
def pair_fixture(line):
    """The line's Redis, and a replica that has all of it."""
    replica = line.redis.replica(line.folder / "replica")
    both = [line.redis, replica]
    yield both
    for stage in line.stages:
        stage.close()
    for each in both:
        each.close()


@pytest.mark.parametrize("meanwhile", ["flowing", "idle", "postgres is frozen"])
def test_every_link_leaves_a_master_that_was_demoted_in_place(line, pair, meanwhile):
    master, replica = pair
    with Forwarder(master.port) as forwarder:
        aggregator = start(line, REDIS_URL=forwarder.url, AGGREGATOR_BATCH_MAX=100)
        aggregator.wait_log("stream_opened")
        spare = start(line, REDIS_URL=forwarder.url)  # Has no stream, but the quota cache.
        webhookd = line.start_webhookd(REDIS_URL=forwarder.url, STRIPE_SECRET_KEY=None)
        stages = [aggregator, spare, webhookd]
        for stage in stages:
            stage.wait_ready()
        emitter = Emitter(line)
        emitter.add_all(emitter.usage(50))
        settle(line)
        if meanwhile == "postgres is frozen":  # A batch is out, and there is room for no other.
            line.postgres.pause()
            emitter.add_all(emitter.usage(1000, seed=2))
            line.wait_for(lambda: aggregator.metric("meterline_stream_lag_events") > 0, 20, "seen")
        wait_replicated(line, replica)
        marks = [stage.mark() for stage in stages]
        forwarder.target = replica.port
        old = demote(line, replica)
        began = time.monotonic()
        flow = Flow(line)
        if meanwhile == "flowing":
            with flow:
                wait_left(line, old, began)
                flow.wait_added(200)
        else:
            wait_left(line, old, began)
        for stage, mark in zip(stages, marks):
            lost = stage.wait_log("peer_lost", since=mark, peer="redis")
            assert any(word in lost["msg"] for word in ("is a replica", "READONLY", "UNBLOCKED"))
        if meanwhile == "postgres is frozen":
            line.postgres.resume()
        emitter.add_all(emitter.usage(30, seed=3))
        settle(line, 60)
        for stage in stages:
            stage.wait_ready(30)
            assert not stage.logs("stream_step_failed")
        assert position(line).epoch == 1
        assert position(line).counted == emitter.oracle.outcomes()["counted"] + flow.added
        assert line.audit().ok


def test_a_refused_write_tells_where_role_is_forbidden(line, pair):
    master, replica = pair
    for server in pair:
        with server.client() as client:
            client.execute_command("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all",
                                   "-role")
    with Forwarder(master.port) as forwarder:
        url = f"redis://app:secret@127.0.0.1:{forwarder.port}"
        aggregator = start(line, REDIS_URL=url).wait_ready()
        emitter = Emitter(line)
        emitter.add_all(emitter.usage(50))
        settle(line)
        wait_replicated(line, replica)
        forwarder.target = replica.port
        demote(line, replica)
        emitter.add_all(emitter.usage(30, seed=2))
        settle(line)
        assert not aggregator.logs("stream_step_failed")
        prove(line, emitter.oracle)


@pytest.mark.parametrize("first", [0, 1])
def test_of_several_hosts_the_one_that_is_master_is_taken(line, pair, first):
    a, b = pair[first], pair[1 - first]
    url = f"redis://127.0.0.1:{a.port},127.0.0.1:{b.port}"
    line.settings["REDIS_URL"] = url
    stages = [start(line), line.start_webhookd(STRIPE_SECRET_KEY=None)]
    for stage in stages:
        stage.wait_ready()
    emitter = Emitter(line)
    emitter.add_all(emitter.usage(50))
    settle(line)
    assert line.audit().ok
    wait_replicated(line, pair[1])
    marks = [stage.mark() for stage in stages]
    old = demote(line, pair[1])
    wait_left(line, old, time.monotonic())
    done = line.must("meterline-emitter", "-", input='{"tenant":"t1","metric":"api_calls"}\n')
    assert "1 sent" in done.stdout + done.stderr
    emitter.add_all(emitter.usage(30, seed=2))
    settle(line)
    for stage, mark in zip(stages, marks):
        stage.wait_log("peer_back", since=mark, peer="redis")
    assert position(line).counted == 81
    assert line.audit().ok
    line.must("meterctl", "status")
