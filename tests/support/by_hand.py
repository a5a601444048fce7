"""What the stages write beside the figures themselves, for ledgers that a test makes by hand: identifiers and bodies of
submissions."""

import hashlib
import struct
import urllib.parse

import psycopg2.extensions


def identifier(customer, event_name, tenant, metric, period_start_s, claim, era=0):
    parts = b"".join(struct.pack(">I", len(text.encode())) + text.encode()
                     for text in (customer, event_name, tenant, metric))
    parts += struct.pack(">qq", period_start_s, claim) + (struct.pack(">q", era) if era else b"")
    return "ml-" + hashlib.blake2b(parts, digest_size=32).hexdigest()


def meter_event_body(event_name, customer, value, identifier, usage_at_s):
    quote = urllib.parse.quote
    return (f"event_name={quote(event_name)}&payload[stripe_customer_id]={quote(customer)}&payload[value]={value}"
            f"&identifier={identifier}&timestamp={usage_at_s}")


def make_true(line):
    """Submissions that a test made up get the identifiers and bodies that the sink would have given them, and those that
    are sent a time."""
    rows = line.sql("""SELECT ctid, *, extract(epoch FROM period_start)::bigint AS start_s,
                              extract(epoch FROM usage_at)::bigint AS at_s FROM usage_submissions""")
    for row in rows:
        own = identifier(row.stripe_customer_id, row.event_name, row.tenant, row.metric, row.start_s, row.claim)
        line.sql("UPDATE usage_submissions SET identifier = %s, body = %s, sent_at = CASE state WHEN 'sent' THEN now() END "
                 "WHERE ctid = %s", own,
                 meter_event_body(row.event_name, row.stripe_customer_id, int(row.quantity), own, row.at_s), row.ctid)


def commit_earlier(line, interval, which="true"):
    """Move the commit of all batches, or of those that SQL chooses, so much into the past."""
    commit_at(line, f"committed_at - interval '{interval}'", which)


def commit_at(line, when, which="true"):
    """The same, committed at a time that SQL tells of a row of usage_batches."""
    line.sql(f"""DO $$
        DECLARE d date; name text;
        BEGIN
            FOR d IN SELECT DISTINCT (({when}) AT TIME ZONE 'UTC')::date FROM usage_batches WHERE {which} LOOP
                name := 'usage_batches_' || to_char(d, 'YYYYMMDD');
                IF to_regclass(name) IS NULL THEN
                    EXECUTE format('CREATE TABLE %I PARTITION OF usage_batches FOR VALUES FROM (%L) TO (%L)', name, d, d + 1);
                END IF;
            END LOOP;
        END $$""")
    line.sql(f"UPDATE usage_batches SET committed_at = {when}, day = (({when}) AT TIME ZONE 'UTC')::date WHERE {which}")
    seal(line)


DIGESTED = ("entry_ms", "entry_seq", "tenants", "metrics", "ids_uuid", "ids_text", "quantities", "occurred_ms", "fields",
            "retracts")


def seal(line):
    """The chain of batches, made once more of what stands in usage_batches and rejected_events: as if the aggregator had
    written what a test made up. Positions and epochs stay as they are, but for the seal."""
    with line.postgres.connect() as connection, connection.cursor(cursor_factory=psycopg2.extensions.cursor) as cursor:
        cursor.execute("DELETE FROM stream_batches")
        cursor.execute("UPDATE rejected_events SET batch = 900000000 + rejected_id WHERE batch IS NULL")
        links = batches(cursor)
        for i, link in enumerate(links):
            newest = link[:2] != (links + [(None, None)])[i + 1][:2]
            add_link(cursor, link, newest)
        cursor.execute("""
            UPDATE stream_positions p
               SET batches = coalesce(b.number, 0), seal = b.seal
              FROM stream_positions o
              LEFT JOIN (SELECT DISTINCT ON (stream) stream, number, seal
                           FROM (SELECT stream, number, seal FROM stream_batches
                                  UNION ALL SELECT stream, number, seal FROM stream_batches_dropped) x
                          ORDER BY stream, number DESC) b USING (stream)
             WHERE o.stream = p.stream""")
        cursor.execute("UPDATE usage_batches_dropped d SET checksum = dropped_day_checksum(d)")


def batches(cursor):
    """By number: what is counted, what is rejected, and when."""
    cursor.execute("""
        SELECT stream, epoch, batch, min(committed_at) AS at, sum(counted)::bigint AS counted, sum(rejected)::bigint AS rejected,
               sum(conflicts)::bigint AS conflicts
          FROM (SELECT stream, epoch, batch, committed_at, events AS counted, 0 AS rejected, 0 AS conflicts
                  FROM usage_batches
                 UNION ALL
                SELECT stream, epoch, batch, rejected_at, 0, (reason <> 'conflict')::int, (reason = 'conflict')::int
                  FROM rejected_events
                 UNION ALL
                SELECT stream, epoch, batch, (day + 1)::timestamp AT TIME ZONE 'UTC' - interval '1 s', 0, 0, 0
                  FROM usage_repeats) x
         GROUP BY stream, epoch, batch ORDER BY stream, epoch, batch""")
    return cursor.fetchall()


def contents(cursor, stream, batch):
    digest = hashlib.blake2b(digest_size=32)
    sent = ", ".join(f"coalesce(array_length({name}, 1), -1), substr(array_send({name}), 21)" for name in DIGESTED)
    cursor.execute(f"""
        SELECT slice, events, catalog_version, timestamptz_send(occurred_min), timestamptz_send(occurred_max), entry_first_ms,
               entry_last_ms, {sent}
          FROM usage_batches WHERE stream = %s AND batch = %s ORDER BY slice""", (stream, batch))
    for slice_, events, version, low, high, first_ms, last_ms, *arrays in cursor.fetchall():
        digest.update(struct.pack(">IIQ", slice_, events, version) + bytes(low) + bytes(high) + struct.pack(">qq", first_ms, last_ms))
        for count, elements in zip(arrays[::2], arrays[1::2]):
            digest.update(struct.pack(">i", count) + bytes(elements or b""))
    return digest.digest()


def add_link(cursor, row, newest):
    """newest: of its epoch, so that it has all the duplicates that were booked."""
    stream, epoch, batch, at, counted, rejected, conflicts = row
    cursor.execute("""
        WITH before AS (
            SELECT coalesce(max(number), 0) AS number, (array_agg(seal ORDER BY number DESC))[1] AS seal
              FROM (SELECT stream, number, seal FROM stream_batches
                     UNION ALL SELECT stream, number, seal FROM stream_batches_dropped) x
             WHERE stream = %(stream)s
        ), repeats AS (
            SELECT coalesce(sum(n), 0)::bigint AS n
              FROM (SELECT duplicates AS n FROM stream_positions WHERE stream = %(stream)s AND epoch = %(epoch)s
                     UNION ALL SELECT duplicates FROM stream_epochs WHERE stream = %(stream)s AND epoch = %(epoch)s
                     UNION ALL SELECT -duplicates FROM stream_batches_dropped
                                WHERE stream = %(stream)s AND epoch = %(epoch)s) x
             WHERE %(newest)s
        ), link AS (
            SELECT ROW(%(stream)s, b.number + 1, %(batch)s, %(epoch)s, '0-0',
                       coalesce((SELECT last_id FROM stream_positions WHERE stream = %(stream)s AND epoch = %(epoch)s),
                                (SELECT last_id FROM stream_epochs WHERE stream = %(stream)s AND epoch = %(epoch)s), '0-0'),
                       %(counted)s, r.n, %(rejected)s, %(conflicts)s,
                       coalesce((SELECT base FROM stream_positions WHERE stream = %(stream)s AND epoch = %(epoch)s), 0), 0,
                       %(at)s, %(contents)s,
                       (SELECT sha256(string_agg(rejected_checksum(r), '' ORDER BY rejected_id)) FROM rejected_events r
                         WHERE stream = %(stream)s AND batch = %(batch)s),
                       (SELECT repeats_checksum(r) FROM usage_repeats r WHERE batch = %(batch)s),
                       (SELECT ended_epoch_checksum(e) FROM stream_epochs e
                         WHERE stream = %(stream)s AND epoch = %(epoch)s - 1), NULL)::stream_batches AS b, b.seal
              FROM before b, repeats r
        )
        INSERT INTO stream_batches
        SELECT (jsonb_populate_record(l.b, jsonb_build_object('seal', stream_batch_seal(l.seal, l.b)))).* FROM link l""",
                   {"stream": stream, "epoch": epoch, "batch": batch, "at": at, "counted": counted, "rejected": rejected,
                    "conflicts": conflicts, "newest": newest, "contents": contents(cursor, stream, batch)})
