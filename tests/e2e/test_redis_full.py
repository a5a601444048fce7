"""A Redis that is full (maxmemory, noeviction) refuses every XADD: what fills it is counted, and it drains."""

import itertools

import pytest
from redis.exceptions import ResponseError

from line.line import STREAM
from support.aggregator import start
from support.ledger_proof import position
from support.lossy_servers import epochs

pytestmark = pytest.mark.own_servers

MAXMEMORY = 24 << 20


def is_full(client):
    """Also a group cannot be made. What a rewrite of the append-only file held for a while does not count."""
    try:
        client.xgroup_create("other", "g", "0", mkstream=True)
    except ResponseError as error:
        assert "used memory > 'maxmemory'" in str(error)
        return True
    client.delete("other")
    return False


def fill(line):
    """Adds entries until Redis takes no more: how many it took. Ids are short, so that they are many."""
    client = line.client()
    client.config_set("maxmemory", client.info("memory")["used_memory"] + MAXMEMORY)
    added = 0
    for first in itertools.count(step=1000):
        pipe = client.pipeline(transaction=False)
        for n in range(first, first + 1000):
            pipe.xadd(STREAM, {"tenant": f"t{n % 50}", "metric": "api_calls", "id": f"f{n}"})
        answers = pipe.execute(raise_on_error=False)
        refused = [a for a in answers if isinstance(a, Exception)]
        added += len(answers) - len(refused)
        assert not refused or "used memory > 'maxmemory'" in str(refused[0])
        if refused and is_full(client):
            return added


def wait_drained(line, added):
    line.wait_for(lambda: position(line) and position(line).counted == added, 240, "all is counted")
    line.wait_for(lambda: line.client().xlen(STREAM) == 0, 30, "and has left the stream")
    line.client().xadd(STREAM, {"tenant": "t0", "metric": "api_calls", "id": "at last"})
    line.wait_for(lambda: position(line).counted == added + 1, 30, "new events are taken and counted")
    (balance,) = epochs(line).values()
    assert balance["lost"] == 0 and balance["waiting"] == 0


@pytest.mark.parametrize("before", ["never counted", "counted before"])
def test_filled_while_no_aggregator_ran(line, before):
    if before == "counted before":
        aggregator = start(line)
        line.xadd(tenant="t0", metric="api_calls", id="first")
        line.wait_for(lambda: position(line) and position(line).counted == 1, 20, "one is counted")
        line.wait_for(lambda: line.client().xlen(STREAM) == 0, 20, "and trimmed")
        aggregator.term()
    added = fill(line) + (before == "counted before")
    aggregator = start(line)
    wait_drained(line, added)
    line.wait_for(lambda: int(line.client().hget("quota:{t1}", "api_calls.used") or 0) > 0, 20,
                  "the quota cache is written again")
    assert aggregator.running and not aggregator.logs("epoch_opened")


def test_filled_while_postgres_was_away(line):
    aggregator = start(line)
    line.xadd(tenant="t0", metric="api_calls", id="first")
    line.wait_for(lambda: position(line) and position(line).counted == 1, 20, "one is counted")
    line.postgres.stop()
    added = fill(line) + 1
    line.postgres.start()
    line._disconnect()
    line.wait_for(lambda: line.value("SELECT true"), 20, "PostgreSQL is back")
    wait_drained(line, added)
    assert aggregator.running
