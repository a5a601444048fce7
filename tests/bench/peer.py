#!/usr/bin/python3
"""peer.py REDIS_URL DATABASE_URL STREAM EVENTS: what a careful engineer would write in an afternoon
with usual means, to compare with. A consumer group; a row per event, whose key makes it count once;
minute rows from those that were new, in the same transaction; acknowledged after COMMIT, and what a
crash left pending is read first. It keeps no period totals and no quota cache, and rejects nothing.
Prints `entries seconds`."""

import collections
import decimal
import sys
import time

import psycopg2
from psycopg2.extras import execute_values
from redis import Redis

GROUP, CONSUMER, BATCH = "peer", "peer-1", 5000

SCHEMA = """
CREATE TABLE events (
    tenant text, event_id text, metric text NOT NULL, quantity numeric NOT NULL,
    occurred_at timestamptz NOT NULL, PRIMARY KEY (tenant, event_id));
CREATE TABLE usage_minutes (
    tenant text, metric text, minute_at timestamptz, events bigint NOT NULL,
    quantity numeric NOT NULL, PRIMARY KEY (tenant, metric, minute_at));
"""
INSERT_EVENTS = """
INSERT INTO events (tenant, event_id, metric, quantity, occurred_at) VALUES %s
ON CONFLICT DO NOTHING
RETURNING tenant, metric, extract(epoch FROM date_trunc('minute', occurred_at))::bigint, quantity
"""
EVENT = "(%s, %s, %s, %s, to_timestamp(%s / 1000.0))"
UPSERT_MINUTES = """
INSERT INTO usage_minutes AS m (tenant, metric, minute_at, events, quantity) VALUES %s
ON CONFLICT (tenant, metric, minute_at)
DO UPDATE SET events = m.events + EXCLUDED.events, quantity = m.quantity + EXCLUDED.quantity
"""
MINUTE = "(%s, %s, to_timestamp(%s), %s, %s)"


def main(redis_url, database_url, stream, wanted):
    redis = Redis.from_url(redis_url, decode_responses=True)
    database = psycopg2.connect(database_url)
    with database, database.cursor() as cursor:
        cursor.execute(SCHEMA)
    redis.xgroup_create(stream, GROUP, id="0")
    began = time.monotonic()
    done = consume(redis, database, stream, int(wanted))
    print(done, time.monotonic() - began)


def consume(redis, database, stream, wanted):
    done, start = 0, "0"
    while done < wanted:
        count = min(BATCH, wanted - done)
        entries = redis.xreadgroup(GROUP, CONSUMER, {stream: start}, count=count)[0][1]
        if entries:
            with database, database.cursor() as cursor:
                store(cursor, [fields for _, fields in entries])
            redis.xack(stream, GROUP, *[entry_id for entry_id, _ in entries])
            done += len(entries)
        elif start == ">":
            break
        else:
            start = ">"
    return done


def store(cursor, events):
    rows = [(event["tenant"], event["id"], event["metric"], decimal.Decimal(event["quantity"]),
             int(event["ts"])) for event in events]
    new = execute_values(cursor, INSERT_EVENTS, rows, EVENT, page_size=len(rows), fetch=True)
    minutes = collections.defaultdict(lambda: [0, 0])
    for tenant, metric, minute, quantity in new:
        sums = minutes[tenant, metric, minute]
        sums[0] += 1
        sums[1] += quantity
    if minutes:
        execute_values(cursor, UPSERT_MINUTES, [(*key, *minutes[key]) for key in sorted(minutes)],
                       MINUTE, page_size=len(minutes))


if __name__ == "__main__":
    main(*sys.argv[1:])
