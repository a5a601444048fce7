"""A Redis that lost entries, or a group that is gone, so that entries are read again."""

import shutil

from line.line import STREAM

HOUR_MS = 3_600_000
KEEP = {"STREAM_KEEP_S": 3600}


def once(line, **settings):
    return line.must("aggregator", "--once", **settings)


def total(line, metric="api_calls"):
    return line.value("SELECT coalesce(sum(quantity), 0) FROM usage_totals WHERE metric = %s", metric)


def copy_redis(line):
    """Its append-only file as it is now. It must rest: nothing is written meanwhile."""
    line.redis.stop()
    copy = line.folder / "redis-copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(line.redis.data, copy)
    line.redis.start()
    line._disconnect()


def lose_redis_since_copy(line):
    line.redis.kill()
    shutil.rmtree(line.redis.data)
    shutil.copytree(line.folder / "redis-copy", line.redis.data)
    line.redis.start()
    line._disconnect()


def destroy_group(line):
    """Somebody copies the stream into a new key, without its group and one that was counted: it has had fewer entries
    than the ledger knows of, so that nobody can tell that it is the same, and all it has is read again."""
    with line.redis.client(decode_responses=False) as client:  # Entries may hold any bytes.
        newest, other = (id for id, _ in client.xrevrange(STREAM, count=2))
        client.xdel(STREAM, other)
        client.execute_command("XSETID", STREAM, newest, "ENTRIESADDED", client.xlen(STREAM), "MAXDELETEDID", "0-0")
        assert client.xgroup_destroy(STREAM, "aggregator")
