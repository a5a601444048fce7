"""Whoever alters the books by hand is found out by `meterctl audit`, or by one of the commands beside it, which names what was
altered. docs/security.md tells what only a backup can show."""

import json
import re

import psycopg2
import pytest

from line import Line
from line.claim import claim_folder
from line.paths import BUILD, CATALOG
from support.ledger_proof import settle
from support.sink_shop import add_tenants, once, open_shop

UUID = "0190a7c4-7a3e-7c1d-9d2a-5f2b8c6d1e0f"
SENT = "(SELECT identifier FROM usage_submissions WHERE metric = 'llm_tokens' AND state = 'sent' LIMIT 1)"
BATCH = "(SELECT min(batch) FROM usage_batches)"


@pytest.fixture(scope="module")
def books():
    """A ledger with a bit of everything, whose stages have ended: each case gets a copy of it."""
    folder, claim = claim_folder(BUILD / "test", "tampering")
    line = Line(folder)
    try:
        line.start_servers()
        line.migrate()
        line.catalog(catalog(folder))
        open_shop(line)
        fill(line)
        line._disconnect()
        yield line
    finally:
        line.close()
        line.remove()
        claim.release()


def catalog(folder):
    """The one that comes along, and what it lacks: values of each kind that are sent."""
    found = json.loads(CATALOG.read_text(encoding="utf-8"))
    found["metrics"] = [metric for metric in found["metrics"] if metric["metric"] != "active_users"] + [
        {"metric": "active_users", "name": "Users", "unit": "user", "aggregation": "unique", "dimensions": ["user"],
         "stripe_event_name": "active_users"},
        {"metric": "peak", "name": "Peak", "unit": "call", "aggregation": "max", "stripe_event_name": "peak"}]
    path = folder / "catalog.json"
    path.write_text(json.dumps(found), encoding="utf-8")
    return path


def fill(line):
    add_tenants(line, "acme", "zen")
    line.sandbox.bootstrap(meters=[{"event_name": "active_users", "formula": "last"}, {"event_name": "peak", "formula": "last"}])
    for n in range(6):
        line.xadd(tenant="acme", metric="llm_tokens", quantity=10 + n, id=f"a{n}", model="large", note=f"n{n}")
        line.xadd(tenant="zen", metric="llm_tokens", quantity=20 + n, model="small")
    line.xadd(tenant="acme", metric="llm_tokens", quantity=7, id=UUID)
    line.xadd(tenant="acme", metric="api_calls", quantity=100, id="calls")
    line.xadd(tenant="acme", metric="storage_gb", quantity=3, id="storage")
    line.xadd(tenant="acme", metric="peak", quantity=30, id="peak")
    line.xadd(tenant="acme", metric="active_users", user="ann", id="ann")
    line.xadd(tenant="acme", metric="no_such_metric", quantity=5, id="unknown")
    line.xadd(tenant="zen", metric="no_such_metric", quantity=6)
    line.must("aggregator", "--once")
    once(line)
    line.xadd(tenant="acme", metric="llm_tokens", quantity=9, id="a1")        # A conflict.
    line.xadd(tenant="acme", metric="llm_tokens", quantity=12, id="a2", model="large", note="n2")   # A duplicate.
    line.xadd(tenant="acme", op="retract", id="a3")
    line.xadd(tenant="acme", metric="storage_gb", quantity=8, id="later")
    line.xadd(tenant="acme", metric="peak", quantity=80, id="higher")
    line.xadd(tenant="acme", metric="active_users", user="bob", id="bob")
    line.xadd(tenant="acme", metric="api_calls", quantity=50, id="more")
    line.must("aggregator", "--once")
    once(line)
    line.must("meterctl", "rejected", "replay", "--all", "--yes")
    line.xadd(tenant="acme", metric="llm_tokens", quantity=3, ts=1)
    line.must("aggregator", "--once")
    settle(line)
    # Stripe's figures of what was sent minutes ago are not trusted yet.
    line.sql("UPDATE usage_submissions SET sent_at = sent_at - interval '20 minutes'")


class Copy:
    """A copy of the books under another name."""

    def __init__(self, line, number):
        self.line, self.name = line, f"case_{number}"
        self.admin = line.postgres.connect()
        with self.admin.cursor() as cursor:
            cursor.execute("SELECT current_database()")
            self.own = cursor.fetchone()[0]
        self.admin.close()
        self.url = re.sub(r"/[^/?]+(\?|$)", rf"/{self.name}\1", line.postgres.url)

    def __enter__(self):
        self._as_admin(f"CREATE DATABASE {self.name} TEMPLATE {self.own}")
        return self

    def __exit__(self, *failure):
        self._as_admin(f"DROP DATABASE {self.name} WITH (FORCE)")

    def _as_admin(self, statement):
        connection = psycopg2.connect(re.sub(r"/[^/?]+(\?|$)", r"/template1\1", self.line.postgres.url))
        connection.autocommit = True
        connection.cursor().execute(statement)
        connection.close()

    def alter(self, statements):
        connection = psycopg2.connect(self.url)
        with connection.cursor() as cursor:
            cursor.execute(statements)
            changed = cursor.rowcount
        connection.commit()
        connection.close()
        assert changed != 0, "nothing was altered"

    def run(self, *args):
        done = self.line.meterctl(*args, DATABASE_URL=self.url)
        return done.returncode, done.stdout + done.stderr


def test_the_books_are_good(books):
    with Copy(books, "good") as copy:
        assert copy.run("audit")[0] == 0, copy.run("audit")[1]
        assert copy.run("rebuild", "--check")[0] == 0
        assert copy.run("reconcile")[0] == 0, copy.run("reconcile")[1]


ELEMENT = "UPDATE usage_batches SET {column}[1] = {value} WHERE batch = " + BATCH + \
    " AND slice = tenant_slice('acme')"

# What is altered, the command that tells, and what it names.
CASES = {
    # Submissions.
    "a body": (f"UPDATE usage_submissions SET body = body || '0' WHERE identifier = {SENT}",
               "audit", "audit submission identifier=ml-.* what=.its body is not the one that its row makes"),
    "an identifier": (f"UPDATE usage_submissions SET identifier = 'ml-' || repeat('0', 64) WHERE identifier = {SENT}",
                      "audit", "audit submission identifier=ml-000.* identifier is not the one that its row makes"),
    "the customer": (f"UPDATE usage_submissions SET stripe_customer_id = 'cus_x' WHERE identifier = {SENT}",
                     "audit", "audit submission identifier=ml-.* identifier is not the one that its row makes"),
    "usage_at within its period": (
        f"UPDATE usage_submissions SET usage_at = usage_at + interval '2 minutes' WHERE identifier = {SENT}",
        "audit", "audit submission identifier=ml-.* body is not the one that its row makes"),
    "usage_at before its period": (
        f"UPDATE usage_submissions SET usage_at = usage_at - interval '40 days' WHERE identifier = {SENT}",
        "audit", "audit submission identifier=ml-.* what=.before its period"),
    "quantities swapped": ("""
        UPDATE usage_submissions s SET quantity = o.quantity FROM usage_submissions o
         WHERE s.metric = 'llm_tokens' AND o.metric = 'llm_tokens' AND o.tenant = s.tenant AND o.claim <> s.claim""",
        "audit", "audit submission identifier=ml-.* body is not the one that its row makes"),
    **{f"an older value of {metric}": (
        f"UPDATE usage_submissions SET quantity = 4 WHERE metric = '{metric}' AND claim = 1",
        "audit", f"audit submission identifier=ml-.* metric={metric} .*body is not the one that its row makes")
       for metric in ("peak", "storage_gb", "active_users")},
    "sent set back to pending": (f"UPDATE usage_submissions SET state = 'pending' WHERE identifier = {SENT}",
                                 "audit", "audit submission identifier=ml-.* state=pending what=.was sent already"),
    "sent set back to pending, with its time": (
        f"UPDATE usage_submissions SET state = 'pending', sent_at = NULL WHERE identifier = {SENT}",
        "audit", "audit submission identifier=ml-.* state=pending what=.waits for another try without a reason"),
    "sent set back to pending, as if never tried": (
        "UPDATE usage_submissions SET state = 'pending', sent_at = NULL, attempts = 0 WHERE identifier = " + SENT,
        "audit", "audit submission identifier=ml-.* state=pending what=.an answer without a try"),
    "a submission that is gone, with its claim": (f"""
        WITH gone AS (DELETE FROM usage_submissions WHERE identifier = {SENT} RETURNING *)
        UPDATE usage_claims c SET claimed = claimed - g.quantity FROM gone g
         WHERE (c.tenant, c.metric, c.period_start) = (g.tenant, g.metric, g.period_start)""",
        "audit", "audit claims tenant=.* metric=llm_tokens .*submissions="),
    "a submission void": (f"UPDATE usage_submissions SET state = 'void' WHERE identifier = {SENT}",
                          "audit", "audit claim tenant=.* metric=llm_tokens"),
    "a quantity and all that is made of it": (f"""
        WITH more AS (UPDATE usage_submissions SET quantity = quantity + 1,
                             body = replace(body, '[value]=' || trim_scale(quantity), '[value]=' || (trim_scale(quantity) + 1))
                       WHERE identifier = {SENT} RETURNING *)
        UPDATE usage_claims c SET claimed = claimed + 1 FROM more g
         WHERE (c.tenant, c.metric, c.period_start) = (g.tenant, g.metric, g.period_start)""",
        "reconcile", "drift"),
    # Claims, totals and minutes.
    "the version of a claim raised": ("UPDATE usage_claims SET version = version + 1000 WHERE tenant = 'acme'",
                                      "audit", "audit version tenant=acme .* claim is newer than its total"),
    "the version of a total lowered": ("UPDATE usage_totals SET version = version - 1 WHERE tenant = 'acme'",
                                       "audit", "audit version tenant=acme .* claim is newer than its total"),
    "a total whose version passes usage over": ("""
        UPDATE usage_claims SET version = (SELECT t.version FROM usage_totals t WHERE t.tenant = 'acme' AND t.metric = 'llm_tokens'),
               claimed = claimed - 1 WHERE tenant = 'acme' AND metric = 'llm_tokens'""",
        "audit", "audit version tenant=acme metric=llm_tokens .*does not hold all of it"),
    "a version that was never given": ("UPDATE usage_totals SET version = -5 WHERE tenant = 'zen'; DELETE FROM usage_claims",
                                       "audit", "audit version tenant=zen .*never given"),
    "a total": ("UPDATE usage_totals SET quantity = quantity + 1 WHERE tenant = 'zen'", "audit", "audit total tenant=zen"),
    "a total that is gone": ("DELETE FROM usage_totals WHERE tenant = 'zen'", "audit", "audit minute tenant=zen"),
    "a claim": ("UPDATE usage_claims SET claimed = claimed + 1 WHERE tenant = 'zen'", "audit", "audit claim tenant=zen"),
    "a minute and its total": ("""
        UPDATE usage_aggregates SET quantity_sum = quantity_sum + 1 WHERE tenant = 'zen' AND metric = 'llm_tokens';
        UPDATE usage_totals SET quantity = quantity + 1 WHERE tenant = 'zen' AND metric = 'llm_tokens'""",
        "rebuild", "minute tenant=zen metric=llm_tokens"),
    # Raw events.
    "an event's id": (ELEMENT.format(column="ids_text", value="'other'"),
                      "audit", "audit batch stream=usage:events batch=.* raw events are not those"),
    "an id that is a UUID": ("UPDATE usage_batches SET ids_uuid = array_replace(ids_uuid, '" + UUID + "', gen_random_uuid()) "
                             "WHERE '" + UUID + "' = ANY (ids_uuid)",
                             "audit", "audit batch stream=usage:events batch=.* raw events are not those"),
    "a field that is no dimension": (
        "UPDATE usage_batches SET fields = array_replace(fields, fields[1], replace(fields[1], 'n0', 'n9')) "
        "WHERE fields[1] LIKE '%n0%'", "audit", "audit batch stream=usage:events batch=.* raw events are not those"),
    "an event, its minute and its total": ("""
        UPDATE usage_batches SET quantities[1] = quantities[1] + 1000 WHERE batch = %s AND slice = tenant_slice('acme');
        UPDATE usage_aggregates SET quantity_sum = quantity_sum + 1000, quantity_max = quantity_max + 1000
         WHERE ctid = (SELECT ctid FROM usage_aggregates WHERE tenant = 'acme' AND metric = 'llm_tokens' LIMIT 1);
        UPDATE usage_totals SET quantity = quantity + 1000 WHERE tenant = 'acme' AND metric = 'llm_tokens'""" % BATCH,
        "audit", "audit batch stream=usage:events batch=.* raw events are not those"),
    "its time of use": (ELEMENT.format(column="occurred_ms", value="occurred_ms[1] - 60000"),
                        "audit", "audit batch stream=usage:events batch="),
    "its batch's last entry": ("UPDATE usage_batches SET entry_last_ms = entry_last_ms + 1",
                               "audit", "audit batch stream=usage:events batch=.* raw events are not those"),
    "its catalog version": ("UPDATE usage_batches SET catalog_version = 0", "audit", "audit batch stream=usage:events"),
    "committed_at": ("UPDATE usage_batches SET committed_at = committed_at - interval '1 h'",
                     "audit", "audit batch stream=usage:events batch=.* what=.of another time than its batch"),
    "the slice": ("UPDATE usage_batches SET slice = 15 - slice", "audit", "audit batch stream=usage:events batch="),
    "a slice that is gone": ("DELETE FROM usage_batches WHERE batch = %s AND slice = tenant_slice('zen')" % BATCH,
                             "audit", "audit batch stream=usage:events batch=.* raw events are not those"),
    "a batch that is gone, with its count": ("""
        WITH gone AS (DELETE FROM usage_batches WHERE batch = %s RETURNING events)
        UPDATE stream_positions SET counted = counted - (SELECT sum(events) FROM gone),
               base = base + (SELECT sum(events) FROM gone)""" % BATCH,
        "audit", "audit (batch|outcomes|chain) stream=usage:events"),
    "a batch that was put in": ("""
        INSERT INTO usage_batches SELECT day, stream, epoch, nextval('usage_batch'), slice, catalog_version, events, occurred_min,
               occurred_max, committed_at, entry_first_ms, entry_last_ms, entry_ms, entry_seq, tenants, metrics, ids_uuid,
               ids_text, quantities, occurred_ms, fields, retracts FROM usage_batches WHERE batch = %s""" % BATCH,
        "audit", "audit batch stream=usage:events batch=.* what=.of no batch"),
    "what a repeat said": ("UPDATE usage_repeats SET contents[1] = contents[1] + 1",
                           "audit", "audit batch stream=usage:events batch=.* what=.its repeats were altered"),
    "the epoch of repeats": ("UPDATE usage_repeats SET epoch = 7",
                             "audit", "audit batch stream=usage:events batch=.* what=.repeats of no batch"),
    "repeats that are gone": ("DELETE FROM usage_repeats",
                              "audit", "audit batch stream=usage:events batch=.* what=.its repeats are gone"),
    "repeats that were put in": ("INSERT INTO usage_repeats SELECT day, stream, epoch, %s, entry_last_ms, entry_ms, entry_seq, "
                                 "contents FROM usage_repeats" % BATCH,
                                 "audit", "audit batch stream=usage:events batch=.* what=.its repeats were altered"),
    # The chain, positions and epochs.
    "a link altered": ("UPDATE stream_batches SET duplicates = duplicates + 1, counted = counted - 1 WHERE number = 1",
                       "audit", "audit chain stream=usage:events number=1 .*altered"),
    "a digest made anew": ("UPDATE stream_batches SET contents = sha256('x') WHERE number = 1",
                           "audit", "audit chain stream=usage:events number=1 .*altered"),
    "a link that is gone": ("DELETE FROM stream_batches WHERE number = 1", "audit", "audit chain stream=usage:events number=2 .*gone"),
    "the newest link gone": ("DELETE FROM stream_batches WHERE number = (SELECT max(number) FROM stream_batches)",
                             "audit", "audit chain stream=usage:events .*newest batches are gone"),
    "lost and base together": ("UPDATE stream_positions SET lost = lost + 5, base = base - 5",
                               "audit", "audit chain stream=usage:events .*base was moved"),
    "counted and duplicates": ("UPDATE stream_positions SET counted = counted + 1, duplicates = duplicates - 1",
                               "audit", "audit outcomes stream=usage:events"),
    "the place": ("UPDATE stream_positions SET last_id = '1-1'", "audit", "audit chain stream=usage:events .*another entry"),
    "an epoch that was made up": ("UPDATE stream_positions SET epoch = 2", "audit", "audit chain stream=usage:events .*altered"),
    # Rejected entries.
    "a reject's fields": ("UPDATE rejected_events SET fields = '[[\"id\", \"x\"]]' WHERE reason = 'conflict'",
                          "audit", "audit rejected stream=usage:events batch=.* what=altered"),
    "a reject's fields, by no list": ("UPDATE rejected_events SET fields = '{}'", "audit", "audit rejected .*what=altered"),
    "its reason": ("UPDATE rejected_events SET reason = 'bad_field' WHERE rejected_id = 1",
                   "audit", "audit rejected stream=usage:events batch=.* first_id=1 .*what=altered"),
    "its detail": ("UPDATE rejected_events SET detail = 'x' WHERE rejected_id = 1", "audit", "audit rejected .*what=altered"),
    "its mark of replay": ("UPDATE rejected_events SET replayed_at = now() WHERE reason = 'too_old'",
                           "audit", "audit rejected rejected_id=.* tenant=acme .*nothing came of it"),
    "a conflict's mark of replay": ("UPDATE rejected_events SET replayed_at = now() WHERE reason = 'conflict'",
                                    "audit", "audit rejected rejected_id=.* tenant=acme reason=conflict .*never replayed"),
    "a reject that is gone": ("DELETE FROM rejected_events WHERE rejected_id = 1", "audit", "audit rejected .*what=gone"),
    "a reject of an event that counts": ("""
        INSERT INTO rejected_events (stream, epoch, stream_id, tenant, reason, detail, fields)
        SELECT stream, epoch, stream_id, tenant, reason, detail, fields FROM rejected_events WHERE rejected_id = 1""",
        "audit", "audit rejected stream=usage:events first_id=.* what=.rejected by no batch"),
    # What waits and what was dropped.
    "sums that wait": ("""
        INSERT INTO usage_pending (batch, stream, tenants, metrics, dimensions, minutes, events, sums, mins, maxs, lasts)
        VALUES (nextval('usage_batch'), 'usage:events', '{zen}', '{llm_tokens}', '{"{}"}', ARRAY[minute_of(now())], '{1}', '{5}',
                '{5}', '{5}', ARRAY[last_value(0, 0, 0, 5)])""",
        "audit", "audit pending stream=usage:events tenant=zen metric=llm_tokens pending_events=1 raw_events=0"),
    "a batch that waits": ("INSERT INTO usage_pending (batch, stream, from_raw) VALUES (nextval('usage_batch'), 'usage:events', true)",
                           "audit", "audit pending stream=usage:events .*batch="),
    "a batch that waits twice": (f"INSERT INTO usage_pending (batch, stream, from_raw) VALUES ({BATCH}, 'usage:events', true)",
                                 "rebuild", "differs"),
    "a minute to count anew": ("INSERT INTO usage_recounts VALUES ('zen', 'llm_tokens', minute_of(now()), 'usage:events', 1)",
                               "audit", "audit recount stream=usage:events batch=1 tenant=zen"),
    "a day that was not dropped": ("""
        INSERT INTO usage_batches_dropped (stream, epoch, day, events, occurred_max)
        VALUES ('usage:events', 1, current_date - 60, 0, now())""",
        "audit", "audit dropped stream=usage:events epoch=1 .*not written by retention"),
    "a day that was not dropped, sealed": ("""
        INSERT INTO usage_batches_dropped (stream, epoch, day, events, occurred_max)
        VALUES ('usage:events', 1, current_date, 0, now());
        UPDATE usage_batches_dropped d SET checksum = dropped_day_checksum(d)""",
        "audit", "audit dropped stream=usage:events epoch=1 .*too early"),
    # The catalog and customers.
    "a transport": ("UPDATE metrics SET transport = 'none' WHERE metric = 'llm_tokens'",
                    "audit", "audit metric metric=llm_tokens .*altered since the catalog was applied"),
    "an aggregation": ("UPDATE metrics SET aggregation = 'count' WHERE metric = 'llm_tokens'",
                       "audit", "audit metric metric=llm_tokens .*altered since"),
    "a definition": ("UPDATE metric_versions SET dimensions = '{region}' WHERE metric = 'llm_tokens'",
                     "audit", "audit metric metric=llm_tokens from_version=1 .*definition altered"),
    "a definition and its metric": ("""
        UPDATE metric_versions SET dimensions = '{region}' WHERE metric = 'llm_tokens';
        UPDATE metrics m SET dimensions = '{region}' WHERE metric = 'llm_tokens'""",
        "audit", "audit metric metric=llm_tokens from_version=1 .*definition altered"),
    "a customer that is gone": ("DELETE FROM billing_customers WHERE tenant = 'zen'", "audit", "audit customer tenant=zen"),
}
COMMANDS = {"audit": ["audit"], "rebuild": ["rebuild", "--check"], "reconcile": ["reconcile"]}


@pytest.mark.parametrize("name", CASES)
def test_found(books, name):
    statements, command, told = CASES[name]
    with Copy(books, list(CASES).index(name)) as copy:
        copy.alter(statements)
        code, text = copy.run(*COMMANDS[command])
        assert code == 1 and re.search(told, text), f"{command} ended with {code}:\n{text}"
