"""The line over a Redis Cluster: streams and quota hashes spread over the masters, slots that move
while events come, and a master that dies."""

import json
import threading

import pytest

from line import Line, RedisCluster
from support.outbox import add_messages, states
from support.shard_flow import ShardFlow, owners, prove_all, stream_of, streams
from support.shards import use_shards, wait_spread

STREAM = "usage:events"
TENANTS = [f"tenant-{number}" for number in range(40)]
FAST = {"AGGREGATOR_FLUSH_MS": 50}


def cluster_line(folder, **options):
    own = Line(folder, redis=RedisCluster(folder, **options))
    own.start_servers()
    own.migrate()
    own.catalog()
    return own


@pytest.fixture(name="line")
def line_fixture(folder, request):
    own = cluster_line(folder)
    request.node.meterline = own
    yield own
    own.close()


@pytest.fixture(name="replicated")
def replicated_fixture(folder, request):
    own = cluster_line(folder, replicas=1)
    request.node.meterline = own
    yield own
    own.close()


def emit(line, first, count, shards=1):
    for number in range(first, first + count):
        tenant = TENANTS[number % len(TENANTS)]
        line.xadd(stream_of(tenant, shards), tenant=tenant, metric="api_calls", quantity="2",
                  id=f"e-{number}")


def counted(line):
    return line.value("SELECT sum(counted) FROM stream_positions")


def prove(line, events):
    """All books balance, and every node has the usage of the tenants whose hashes it serves."""
    line.wait_for(lambda: counted(line) == events, 40, f"{events} events are counted")
    audits = []
    line.wait_for(lambda: audits.append(line.audit()) or audits[-1].exit_code != 3, 30,
                  "the cluster is up: slots of a node that is found dead late are nobody's for a second")
    assert audits[-1].ok, audits[-1].text
    each = events // len(TENANTS) * 2
    client = line.client()
    for tenant in TENANTS:
        line.wait_for(lambda t=tenant: client.hget(f"quota:{{{t}}}", "api_calls.used") == str(each),
                      30, f"the cache has {each} of {tenant}")


def redirects(stage, kind):
    return stage.metric("meterline_redis_redirects_total", kind=kind) or 0


class Move:
    """A slot on its way from its master to another one, step by step as redis-cli would."""

    def __init__(self, line, key):
        self.line, self.cluster = line, line.redis
        self.source = self.cluster.master_of(key)
        self.target = next(node for node in self.cluster.nodes
                           if node is not self.source and self.is_master(node))
        with self.source.client() as client:
            self.slot = client.execute_command("CLUSTER KEYSLOT", key)
        self.tell(self.target, "IMPORTING", self.cluster.id_of(self.source))
        self.tell(self.source, "MIGRATING", self.cluster.id_of(self.target))

    @staticmethod
    def is_master(node):
        with node.client() as client:
            return client.info("replication")["role"] == "master"

    def tell(self, node, *words):
        with node.client() as client:
            client.execute_command("CLUSTER SETSLOT", self.slot, *words)

    def keys(self):
        """Moves the slot's keys: from now on the source answers ASK."""
        with self.source.client() as client:
            names = client.execute_command("CLUSTER GETKEYSINSLOT", self.slot, 1000)
            client.execute_command("MIGRATE", "127.0.0.1", self.target.port, "", 0, 10000, "KEYS",
                                   *names)
        return names

    def end(self):
        """From now on the source answers MOVED."""
        for node in (self.target, self.source):
            self.tell(node, "NODE", self.cluster.id_of(self.target))


def test_streams_and_quota_hashes_on_all_nodes(line):
    """A program of ours needs to be told of one node only, whichever it is."""
    line.start_aggregator(**FAST).wait_ready()
    emit(line, 0, 400)
    prove(line, 400)
    webhookd = line.start_webhookd().wait_ready()
    line.wait_for(lambda: all(line.client().hget(f"quota:{{{tenant}}}", "status") for tenant in TENANTS),
                  20, "webhookd has written every hash")
    on_nodes = []
    for node in line.redis.nodes:
        with node.client() as client:
            on_nodes.append(len(set(client.keys("quota:*")) - {"quota:{}"}))
            functions = client.execute_command("FUNCTION LIST")
            assert "meterline_used" in str(functions), "each master has our function"
            assert "meterline_check" in str(functions), "and those that services call"
    assert sum(on_nodes) == len(TENANTS)
    assert all(on_nodes), "the hashes are spread"
    status = json.loads(line.must("meterctl", "status", "--json").stdout)
    assert {peer["peer"]: peer["state"] for peer in status["peers"]} == {"redis": "up",
                                                                       "postgres": "up"}
    assert status["quotas"][0]["cached"] == len(TENANTS)
    assert [row["queue"] for row in status["stages"] if row["stage"] == "aggregator"] == [STREAM]
    assert webhookd.running


def test_the_emitter_finds_the_node_of_each_stream(line):
    path = line.folder / "events.ndjson"
    path.write_text("".join(json.dumps({"tenant": f"t{number % 97}", "metric": "api_calls",
                                        "id": str(number)}) + "\n" for number in range(5000)),
                    encoding="utf-8")
    done = line.must("emitter", path, METERLINE_STREAM_SHARDS=8)
    assert "5000 sent, 0 refused" in done.stdout + done.stderr
    lengths = [line.client().xlen(f"usage:events:{{{shard}}}") for shard in range(8)]
    assert sum(lengths) == 5000 and all(lengths)
    owners = {line.redis.master_of(f"usage:events:{{{shard}}}").port for shard in range(8)}
    assert len(owners) == 3


def test_a_stream_that_moves_while_events_come(line):
    """ASK while its slot is on the way, MOVED when it has arrived: both are followed, nothing is
    lost or doubled."""
    aggregator = line.start_aggregator(**FAST)
    aggregator.wait_ready()
    emit(line, 0, 400)
    prove(line, 400)
    move = Move(line, STREAM)
    emit(line, 400, 200)
    assert STREAM in move.keys()
    line.wait_for(lambda: redirects(aggregator, "ask") > 0, 20, "ASK was followed")
    emit(line, 600, 200)
    prove_counted(line, 800)
    move.end()
    emit(line, 800, 400)
    prove(line, 1200)
    # It may stay where ASK led to; a second way round is told by MOVED alone.
    back = Move(line, STREAM)
    back.keys()
    back.end()
    line.wait_for(lambda: redirects(aggregator, "moved") > 0, 60, "MOVED was followed")
    emit(line, 1200, 400)
    prove(line, 1600)
    assert aggregator.running
    moved = [record["kind"] for record in aggregator.logs("redis_redirected")]
    assert "ask" in moved and "moved" in moved


def prove_counted(line, events):
    line.wait_for(lambda: counted(line) == events, 40, f"{events} events are counted")


def test_quota_hashes_that_move(line):
    """Each half of the moving slot's hashes is written where it is."""
    aggregator = line.start_aggregator(**FAST)
    aggregator.wait_ready()
    emit(line, 0, 400)
    prove(line, 400)
    moves = [Move(line, f"quota:{{{tenant}}}") for tenant in TENANTS[:6]]
    for move in moves:
        move.keys()
    asked = redirects(aggregator, "ask")
    emit(line, 400, 400)
    line.wait_for(lambda: redirects(aggregator, "ask") >= asked + 6, 20, "ASK was followed")
    for move in moves:
        move.end()
    emit(line, 800, 400)
    prove(line, 1200)
    assert redirects(aggregator, "moved") > 0


def test_a_master_dies(replicated):
    """Its replica takes over: stream, group, hashes and function are there."""
    line = replicated
    aggregator = line.start_aggregator(**FAST)
    aggregator.wait_ready()
    webhookd = line.start_webhookd().wait_ready()
    emit(line, 0, 400)
    prove(line, 400)
    victim = line.redis.master_of(STREAM)
    with victim.client() as client:
        assert client.execute_command("WAIT", 1, 5000) == 1
    victim.kill()
    aggregator.wait_log("peer_lost")
    line.wait_for(lambda: line.redis.master_of(STREAM) not in (None, victim), 30, "a new master")
    emit(line, 400, 400)
    prove(line, 800)
    aggregator.wait_log("peer_back")
    line.wait_for(lambda: aggregator.ready() and webhookd.ready(), 20, "both are ready")
    # The dead one comes back as a replica of the new one: nobody minds.
    victim.start()
    emit(line, 800, 400)
    prove(line, 1200)
    # The programs that are told of the first node only learn of the rest.
    assert "redis" in line.must("meterctl", "status").stdout


def test_the_only_node_that_the_url_names_dies(replicated):
    """What the cluster has told of its nodes is enough to go on."""
    line = replicated
    aggregator = line.start_aggregator(**FAST)
    aggregator.wait_ready()
    emit(line, 0, 400)
    prove(line, 400)
    first = line.redis.nodes[0]
    was_master = line.redis.master_of(STREAM) is first
    first.kill()
    line.wait_for(lambda: line.redis.master_of(STREAM) not in (None, first), 30, "a new master")
    emit(line, 400, 400)
    line.wait_for(lambda: counted(line) == 800, 40, "all are counted")
    assert not was_master or aggregator.logs("peer_lost")
    first.start()
    prove(line, 800)


def test_slots_migrate_under_load(line):
    """redis-cli moves a third of a master's slots to and fro while events come."""
    aggregator = line.start_aggregator(**FAST)
    aggregator.wait_ready()
    emit(line, 0, 40)
    total, stop = [40], threading.Event()

    def load():
        client = line.redis.client()
        while not stop.is_set() or total[0] % len(TENANTS):
            client.xadd(STREAM, {"tenant": TENANTS[total[0] % len(TENANTS)], "metric": "api_calls",
                                 "quantity": "2", "id": f"e-{total[0]}"})
            total[0] += 1
        client.close()

    thread = threading.Thread(target=load)
    thread.start()
    try:
        for _ in range(4):
            before = redirects(aggregator, "ask")
            move = Move(line, STREAM)
            move.keys()
            line.wait_for(lambda b=before: redirects(aggregator, "ask") > b, 20, "ASK")
            move.end()
            more = total[0] + 200
            line.wait_for(lambda m=more: total[0] >= m, 30, "events went on")
    finally:
        stop.set()
        thread.join()
    prove(line, total[0])


def test_many_streams_and_two_aggregators_while_slots_move(line):
    """Streams on all masters, spread over two processes; half of them move while events come."""
    use_shards(line, 6)
    stages = [line.start_aggregator(**FAST) for _ in range(2)]
    assert len({line.redis.master_of(stream).port for stream in streams(6)}) == 3
    with ShardFlow(line, 6) as flow:
        wait_spread(line, [3, 3], shards=6)
        flow.wait_added(200)
        for stream in streams(6)[:3]:
            asked = sum(redirects(stage, "ask") for stage in stages)
            move = Move(line, stream)
            move.keys()
            line.wait_for(lambda a=asked: sum(redirects(stage, "ask") for stage in stages) > a, 20,
                          "ASK was followed")
            flow.wait_added(100)
            move.end()
            flow.wait_added(100)
        for stream in streams(6)[:3]:
            back = Move(line, stream)
            back.keys()
            back.end()
            flow.wait_added(50)
        line.wait_for(lambda: sum(redirects(stage, "moved") for stage in stages) > 0, 60,
                      "MOVED was followed")
        flow.wait_added(100)
    prove_all(line, flow)


def test_a_master_with_streams_of_two_aggregators_dies(replicated):
    line = replicated
    use_shards(line, 6)
    stages = [line.start_aggregator(**FAST) for _ in range(2)]
    wait_spread(line, [3, 3], shards=6)
    emit(line, 0, 400, 6)
    prove(line, 400)
    victim = line.redis.master_of(streams(6)[0])
    with victim.client() as client:
        assert client.execute_command("WAIT", 1, 5000) == 1
    victim.kill()
    emit(line, 400, 400, 6)
    prove(line, 800)
    assert line.redis.master_of(streams(6)[0]) is not victim
    assert len(owners(line, 6)) == 2
    assert all(stage.running for stage in stages)
    status = json.loads(line.must("meterctl", "status", "--json").stdout)
    queues = {row["queue"]: row["depth"] for row in status["stages"] if row["stage"] == "aggregator"}
    assert queues == dict.fromkeys(streams(6), 0)


def test_signals_and_their_marks_are_on_one_node(line):
    """The script that adds a signal leaves its mark in the same slot."""
    line.start_notifier().wait_ready()
    add_messages(line, 50)
    line.wait_for(lambda: states(line) == {"sent": 50}, 20, "all are sent")
    assert line.client().xlen("billing:signals") == 50
    assert line.client().exists("{billing:signals}:sent:msg_" + "1".zfill(32)) == 1
