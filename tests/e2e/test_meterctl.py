"""meterctl: the schema and the catalog are what their files say, and the audit tells the truth."""

import copy
import json

import psycopg2
import pytest

from line import Line
from line.paths import CATALOG, ROOT
from support.by_hand import make_true, seal

STREAM = "usage:events"
TABLES = ("metrics", "plans", "plan_limits", "ledger_state", "usage_quotas", "catalog_tax")


@pytest.fixture
def bare(folder):
    """A server without a schema."""
    own = Line(folder)
    try:
        own.postgres.start()
        yield own
    finally:
        own.close()


def test_database_that_is_away(bare):
    bare.postgres.stop()
    away = bare.postgres.url.replace("postgres@", "postgres:very-secret@")
    done = bare.meterctl("migrate", DATABASE_URL=away)
    assert done.returncode == 1
    assert "very-secret" not in done.stdout + done.stderr


def test_wrong_usage(bare):
    for args in ([], ["fly"], ["migrate", "now"], ["catalog"], ["catalog", "apply"],
                 ["audit", "--xml"], ["catalog", "apply", "/nonexistent/catalog.json"]):
        assert bare.meterctl(*args).returncode == 2, args
    assert bare.meterctl("migrate", DATABASE_URL=None).returncode == 2
    assert bare.must("meterctl", "help", DATABASE_URL=None).stdout == bare.must("meterctl", "--help", DATABASE_URL=None).stdout
    assert bare.meterctl("audit", "--help", DATABASE_URL=None).returncode == 0
    assert bare.meterctl("--version").stdout.startswith("meterctl ")
    assert bare.meterctl("catalog").stderr.count("usage: meterctl catalog ") == 2
    mistyped = bare.meterctl("catalog", "aply")
    assert mistyped.returncode == 2
    assert mistyped.stderr.startswith("meterctl: unknown command: catalog aply\nmeterctl: usage: meterctl catalog apply")
    asked = bare.must("meterctl", "catalog", "--help", DATABASE_URL=None).stdout
    assert asked.count("meterctl catalog ") == 2 and "Print the catalog" in asked
    assert bare.meterctl("fly", "--help", DATABASE_URL=None).returncode == 2
    shown = bare.meterctl("--print-config", DATABASE_URL="postgresql://u:secret-word@h/d").stdout
    assert "DATABASE_URL=postgresql://u:***@h/d" in shown


def test_commands_before_migrate_say_so(bare):
    done = bare.meterctl("catalog", "show")
    assert done.returncode == 1 and "meterctl migrate" in done.stderr


# catalog

def catalog_of(line):
    return json.loads(CATALOG.read_text())


def apply(line, catalog):
    path = line.folder / "catalog.json"
    path.write_text(catalog if isinstance(catalog, str) else json.dumps(catalog))
    return line.meterctl("catalog", "apply", path)


def contents(line):
    return {table: line.sql(f"SELECT * FROM {table} ORDER BY 1, 2") for table in TABLES}


def test_catalog_apply_is_idempotent(line):
    before = contents(line)
    done = line.catalog()
    assert "nothing changed" in done.stdout
    assert contents(line) == before
    assert line.value("SELECT value FROM ledger_state WHERE name = 'catalog_version'") == 1
    assert line.value("SELECT overage_unit_price FROM plan_limits WHERE plan = 'standard' "
                      "AND metric = 'llm_tokens'") * 1000 == 1


def test_catalog_show_is_a_catalog_file(line):
    shown = line.meterctl("catalog", "show").stdout
    assert "nothing changed" in apply(line, shown).stdout


@pytest.mark.parametrize("name", ["metered", "per-seat"])
def test_the_catalogs_to_start_from_apply_and_are_shown_as_they_are(line, name):
    written = json.loads((ROOT / f"deploy/catalogs/{name}.json").read_text())
    assert apply(line, json.dumps(written)).returncode == 0
    shown = line.meterctl("catalog", "show").stdout
    assert "nothing changed" in apply(line, shown).stdout
    found = {plan["plan"]: plan for plan in json.loads(shown)["plans"]}
    for plan in written["plans"]:
        # An overage is shown for one unit, whatever the file has it for.
        assert {**found[plan["plan"]], "limits": plan["limits"]} == {"interval": "month", **plan}
    assert json.loads(shown)["tax"] == {"inclusive": False, **written["tax"]}


def test_what_plans_cost_and_the_tax_are_told_when_they_change(line):
    catalog = json.loads((ROOT / "deploy/catalogs/per-seat.json").read_text())
    assert apply(line, catalog).returncode == 0
    catalog["plans"][0]["seat"] = {"amount_minor": 200}
    catalog["plans"][1] |= {"trial_days": 14, "base_amount_minor": 1000, "yearly_amount_minor": 9900}
    catalog["plans"][2] |= {"custom": False, "base_amount_minor": 5}
    catalog["metrics"][1] |= {"hours_saved": "1"}
    catalog["tax"] = {"name": "VAT", "percentage": "19", "inclusive": True}
    assert apply(line, catalog).stdout.splitlines()[:-1] == [
        "metric reports changed: hours_saved",
        "plan basic changed: seat amount_minor 100 to 200, seat yearly_amount_minor 1000 to none",
        "plan enterprise changed: base_amount_minor 0 to 5, no longer custom",
        "plan pro changed: base_amount_minor 0 to 1000, trial_days 7 to 14, yearly_amount_minor none to 9900",
        "tax VAT changed: name, percentage 8 to 19, inclusive"]
    del catalog["tax"]
    assert "tax VAT dropped" in apply(line, catalog).stdout


def test_catalog_changes_are_told_and_reach_the_quotas(line):
    line.sql("INSERT INTO usage_quotas (tenant, metric, limit_quantity, cap) "
             "VALUES ('acme', 'api_calls', 5, 'soft')")
    catalog = catalog_of(line)
    catalog["plans"][0]["limits"]["api_calls"] = {"included": "2500.5", "cap": "hard"}
    del catalog["plans"][0]["limits"]["user_seats"]
    catalog["metrics"][0]["unit"] = "piece"
    done = apply(line, catalog)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "metric llm_tokens changed: unit",
        "limit free/api_calls changed: included 1000 to 2500.5, cap soft to hard",
        "limit free/user_seats dropped",
        "catalog version 2, 3 changed, quotas of 1 tenants refreshed"]
    quotas = {row.metric: (row.limit_quantity, row.cap) for row in line.sql(
        "SELECT metric, limit_quantity, cap FROM usage_quotas WHERE tenant = 'acme'")}
    assert quotas["api_calls"] == (2500.5, "hard") and "user_seats" not in quotas


def test_what_vanishes_is_retired_and_may_come_back(line):
    catalog = catalog_of(line)
    smaller = copy.deepcopy(catalog)
    smaller["metrics"] = smaller["metrics"][1:]
    smaller["plans"] = smaller["plans"][:2]
    for plan in smaller["plans"]:
        del plan["limits"]["llm_tokens"]
    assert apply(line, smaller).returncode == 0
    assert line.value("SELECT retired_at FROM metrics WHERE metric = 'llm_tokens'")
    assert line.value("SELECT retired_at FROM plans WHERE plan = 'enterprise'")
    assert "enterprise" not in line.meterctl("catalog", "show").stdout
    back = apply(line, catalog)
    assert "metric llm_tokens changed: no longer retired" in back.stdout
    assert not line.sql("SELECT metric FROM metrics WHERE retired_at IS NOT NULL "
                        "UNION ALL SELECT plan FROM plans WHERE retired_at IS NOT NULL")


def test_plan_takes_over_a_lookup_key(line):
    catalog = catalog_of(line)
    catalog["plans"][1]["plan"] = "pro"
    assert apply(line, catalog).returncode == 0
    assert line.value("SELECT plan FROM plans WHERE stripe_lookup_key = 'standard'") == "pro"


def test_catalog_faults_change_nothing(line):
    before = contents(line)
    catalog = catalog_of(line)
    catalog["metrics"][0]["aggregation"] = "mean"
    catalog["plans"][1]["limits"]["api_calls"]["cap"] = "firm"
    catalog["plans"][1]["limits"]["llm_tokens"]["overage"]["per"] = "3000"
    catalog["plans"][2]["color"] = "red"
    del catalog["metrics"][5]["dimensions"]
    done = apply(line, catalog)
    assert done.returncode == 1
    for path in ("metrics[0].aggregation: ", "plans[1].limits.api_calls.cap: ",
                 "plans[1].limits.llm_tokens.overage: ", "plans[2].color: ", "metrics[5].dimensions: "):
        assert any(text.startswith(path) for text in done.stderr.splitlines()), done.stderr
    broken = apply(line, '{"metrics": [\n  }')
    assert broken.returncode == 1 and "line 2, column 3: " in broken.stderr
    assert contents(line) == before


def test_aggregation_stays_once_there_is_usage(line):
    catalog = catalog_of(line)
    catalog["metrics"][2]["aggregation"] = "count"
    assert apply(line, catalog).returncode == 0
    add_total(line, "acme", "api_calls", 3)
    before = contents(line)
    catalog["metrics"][2]["aggregation"] = "max"
    catalog["metrics"][1]["unit"] = "piece"
    done = apply(line, catalog)
    assert done.returncode == 1
    assert "api_calls" in done.stderr and "has usage" in done.stderr
    assert contents(line) == before


# audit

PERIOD = ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")
ENTRY = b"\0" * 16


def add_total(line, tenant, metric, quantity, period=PERIOD):
    line.sql("INSERT INTO usage_totals (tenant, metric, period_start, period_end, quantity, "
             "version, last_ms, last_entry) "
             "VALUES (%s, %s, %s, %s, %s, nextval('usage_version'), 0, %s)",
             tenant, metric, *period, quantity, ENTRY)


def add_minute(line, tenant, metric, quantity, minute="2026-11-02T10:00:00Z", last_ms=0):
    line.sql("INSERT INTO usage_aggregates (tenant, metric, minute_at, events, quantity_sum, "
             "quantity_min, quantity_max, quantity_last, last_ms, last_entry) "
             "VALUES (%s, %s, %s, 1, %s, %s, %s, %s, %s, %s)",
             tenant, metric, minute, quantity, quantity, quantity, quantity, last_ms, ENTRY)


def add_batch(line, events, batch, epoch=1, stream=STREAM):
    ones = list(range(events))
    line.sql("INSERT INTO usage_batches (day, stream, epoch, batch, slice, catalog_version, events, occurred_min, "
             "occurred_max, entry_first_ms, entry_last_ms, entry_ms, entry_seq, tenants, metrics, quantities, occurred_ms) "
             "VALUES ((now() AT TIME ZONE 'UTC')::date, %s, %s, %s, tenant_slice('acme'), 1, %s, "
             "now(), now(), 0, 0, %s, %s, %s, %s, %s::numeric[], %s)", stream, epoch, batch, events, ones, ones,
             ["acme"] * events, ["api_calls"] * events, ones, ones)


def add_reject(line, reason="bad_field", epoch=1):
    line.sql("INSERT INTO rejected_events (stream, epoch, stream_id, reason, detail, fields) "
             "VALUES (%s, %s, '1-1', %s, 'by hand', '[]')", STREAM, epoch, reason)


def add_submission(line, number, quantity, state="sent", usage_at="2026-11-02T10:00:00Z"):
    line.sql("INSERT INTO usage_submissions (identifier, tenant, metric, transport, "
             "stripe_customer_id, event_name, period_start, claim, usage_at, quantity, "
             "body, state) "
             "VALUES (%s, 'acme', 'api_calls', 'meter_events', 'cus_1', 'api_calls', %s, %s, "
             "%s::timestamptz + %s * interval '1 min', %s, '', %s)", f"ml-{number}", PERIOD[0],
             number, usage_at, number, quantity, state)


@pytest.fixture
def counted(line):
    """Ten entries, as if an aggregator had counted six of them and left two waiting."""
    ids = [line.xadd(tenant="acme", metric="api_calls") for _ in range(10)]
    line.sql("INSERT INTO stream_positions (stream, epoch, last_id, counted, duplicates, rejected, "
             "conflicts, batches) VALUES (%s, 1, %s, 6, 0, 1, 1, 2)", STREAM, ids[7])
    add_batch(line, 4, batch=1)
    add_batch(line, 2, batch=2)
    add_reject(line)
    add_reject(line, "conflict")
    add_minute(line, "acme", "api_calls", "6.5")
    add_total(line, "acme", "api_calls", "6.5")
    line.ids = ids
    seal(line)
    return line


def test_audit_of_a_balanced_line(counted):
    audit = counted.audit()
    assert audit.ok, audit.text
    assert audit.streams == [{
        "stream": STREAM, "epoch": 1, "added": 10, "counted": 6, "duplicates": 0, "rejected": 1,
        "conflicts": 1, "lost": 0, "waiting": 2, "difference": 0}]
    # The same once the aggregator has trimmed what it counted.
    counted.client().xtrim(STREAM, minid=counted.ids[8], approximate=False)
    assert counted.audit().streams == audit.streams


def test_audit_as_json_has_the_same_names(counted):
    done = counted.meterctl("audit", "--json")
    assert done.returncode == 0
    report = json.loads(done.stdout)
    assert report["result"] == "ok"
    assert report["streams"] == counted.audit().streams


def test_audit_counts_what_waits_by_pages(line):
    line.emit({"tenant": "acme", "metric": "api_calls"} for _ in range(3500))
    first = line.client().xrange(STREAM, count=1)[0][0]
    line.sql("INSERT INTO stream_positions (stream, last_id, counted) VALUES (%s, %s, 1)",
             STREAM, first)
    add_batch(line, 1, batch=1)
    seal(line)
    assert line.audit().total("waiting") == 3499
    assert line.audit().ok


def test_audit_of_a_stream_that_nobody_has_read(line):
    line.xadd(tenant="acme", metric="api_calls")
    assert line.audit().ok
    assert line.audit().total("waiting") == 1
    many = line.meterctl("audit", METERLINE_STREAM_SHARDS=2)
    assert many.returncode == 0
    for stream in ("usage:events:{0}", "usage:events:{1}", STREAM):
        assert f"audit stream={stream} " in many.stdout


def test_audit_finds_an_entry_that_vanished(counted):
    counted.client().xdel(STREAM, counted.ids[9])
    audit = counted.audit()
    assert audit.exit_code == 1 and "audit unbalanced" in audit.text
    assert audit.streams[0]["waiting"] == 1 and audit.streams[0]["difference"] == 1


def test_audit_names_the_stream_of_a_batch_that_vanished(counted):
    counted.sql("DELETE FROM usage_batches WHERE batch = 2")
    done = counted.meterctl("audit")
    assert done.returncode == 1
    assert f"audit stream={STREAM} epoch=1 raw_events=4 counted=6 difference=2" in done.stdout
    assert done.stdout.splitlines()[-1] == "audit unbalanced"
    counted.sql("INSERT INTO usage_batches_dropped (stream, epoch, day, events, occurred_max) "
                "VALUES (%s, 1, '2026-01-01', 2, now())", STREAM)
    counted.sql("INSERT INTO stream_batches_dropped VALUES (%s, 1, 1, '', 2, 0, 0, 0)", STREAM)
    counted.sql("UPDATE stream_batches_dropped d SET checksum = dropped_batches_checksum(d)")
    seal(counted)
    assert counted.audit().ok


def test_audit_finds_a_reject_that_vanished(counted):
    counted.sql("DELETE FROM rejected_events WHERE reason = 'conflict'")
    done = counted.meterctl("audit")
    assert done.returncode == 1
    assert (f"audit stream={STREAM} epoch=1 rejected_rows=1 rejected=1 conflicts=1 difference=1"
            in done.stdout)
    counted.sql("INSERT INTO rejected_events_dropped (stream, epoch, conflict, day, events) "
                "VALUES (%s, 1, true, (now() AT TIME ZONE 'UTC')::date, 1)", STREAM)
    assert counted.audit().ok


def test_audit_compares_unique_totals_with_their_values(line):
    for user in ("ann", "bob", "ann"):
        line.xadd(tenant="acme", metric="active_users", user=user)
    line.must("aggregator", "--once")
    assert line.value("SELECT quantity FROM usage_totals") == 2
    assert line.audit().ok, line.audit().text
    line.sql("DELETE FROM usage_uniques WHERE dimensions @> '{\"user\": \"bob\"}'")
    done = line.meterctl("audit")
    assert done.returncode == 1 and "quantity=2 minutes=2 values=1" in done.stdout
    line.sql("UPDATE usage_totals SET quantity = 1")
    assert "quantity=1 minutes=2 values=1" in line.meterctl("audit").stdout


def test_audit_of_epochs_that_ended(counted):
    counted.sql("UPDATE stream_positions SET epoch = 2")
    counted.sql("UPDATE usage_batches SET epoch = 2")
    counted.sql("UPDATE rejected_events SET epoch = 2")
    counted.sql("INSERT INTO stream_epochs (stream, epoch, token, last_id, added, counted, duplicates, "
                "rejected, conflicts, lost, reason) "
                "VALUES (%s, 1, gen_random_uuid(), '5-0', 9, 3, 4, 0, 0, 2, 'lost')", STREAM)
    add_batch(counted, 3, batch=3, epoch=1)
    seal(counted)
    audit = counted.audit()
    assert audit.balanced and audit.attention == {"lost": "2"}, audit.text
    found = [(row["epoch"], row["added"], row["lost"]) for row in audit.streams]
    assert found == [(1, 9, 2), (2, 10, 0)]
    counted.sql("UPDATE stream_epochs SET lost = 1")
    text = counted.audit().text
    assert "difference=1" in text and "the epoch before it was altered" in text


def test_audit_compares_totals_with_minutes(counted):
    counted.sql("UPDATE usage_totals SET quantity = 7")
    done = counted.meterctl("audit")
    assert done.returncode == 1
    assert "audit total tenant=acme metric=api_calls period_start=" in done.stdout
    assert "quantity=7 minutes=6.5" in done.stdout
    counted.sql("UPDATE usage_totals SET quantity = 6.5")
    add_minute(counted, "acme", "api_calls", 1, minute="2027-01-01T00:00:00Z")
    assert "audit minute tenant=acme metric=api_calls" in counted.audit().text


def test_audit_takes_a_value_that_was_carried(counted):
    """user_seats is `last` and carried: a period without usage has its predecessor's value."""
    add_minute(counted, "acme", "user_seats", 3, last_ms=1)
    add_minute(counted, "acme", "user_seats", 9, minute="2026-11-02T10:01:00Z", last_ms=2)
    add_total(counted, "acme", "user_seats", 9)
    add_total(counted, "acme", "user_seats", 9, ("2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"))
    assert counted.audit().ok, counted.audit().text
    counted.sql("UPDATE usage_totals SET quantity = 3 "
                "WHERE metric = 'user_seats' AND period_start = %s", PERIOD[0])
    assert counted.audit().exit_code == 1


def test_audit_of_billing(counted):
    counted.sql("INSERT INTO billing_customers (tenant, stripe_customer_id) "
                "VALUES ('acme', 'cus_1')")
    add_submission(counted, 1, 3)
    add_submission(counted, 2, 2, state="pending")
    add_submission(counted, 3, 9, state="void")
    counted.sql("INSERT INTO usage_claims (tenant, metric, period_start, version, claimed, claims) "
                "VALUES ('acme', 'api_calls', %s, 0, 5, 3)", PERIOD[0])
    make_true(counted)
    done = counted.meterctl("audit")
    assert done.returncode == 0, done.stdout
    billing = next(text for text in done.stdout.splitlines() if text.startswith("audit billing "))
    for pair in ("metric=api_calls", "aggregated=6.5", "sent=3", "pending=2", "waiting=1",
                 "carried=0.5", "difference=0"):
        assert pair in billing.split(), billing
    counted.sql("UPDATE usage_submissions SET state = 'void' WHERE claim = 2")
    done = counted.meterctl("audit")
    assert done.returncode == 1
    assert "audit claim tenant=acme metric=api_calls" in done.stdout
    assert "claimed=5 submissions=3" in done.stdout


@pytest.mark.own_servers
def test_audit_that_cannot_be_made_says_who_is_away(counted):
    counted.redis.stop()
    done = counted.meterctl("audit")
    assert done.returncode == 3 and "redis" in done.stderr and "audit ok" not in done.stdout
    counted.redis.start()
    counted.postgres.stop()
    done = counted.meterctl("audit")
    assert done.returncode == 3 and "postgres" in done.stderr


# status and restore

def test_status_shows_what_waits(counted):
    counted.client().xgroup_create(STREAM, "aggregator", id=counted.ids[7], entries_read=8)
    counted.sql("UPDATE stream_positions SET owner = 'someone', "
                "lease_until = now() + interval '1 h'")
    add_submission(counted, 1, 3, state="pending")
    report = json.loads(counted.must("meterctl", "status", "--json").stdout)
    stream = report["stages"][0]
    assert stream["stage"] == "aggregator" and stream["queue"] == STREAM
    assert (stream["depth"], stream["lag"], stream["waiting"]) == (10, 2, 2)
    assert stream["owner"] == "someone"
    assert stream["oldest_s"] >= 0 and stream["lease_s"] > 3000
    assert report["submissions"][0]["state"] == "pending"
    assert report["unbilled"] == [{"reason": "unmapped", "metric": "api_calls", "tenants": 1,
                                   "quantity": "6.5"}]
    text = counted.must("meterctl", "status").stdout
    assert "someone" in text and "unmapped" in text


@pytest.mark.own_servers
def test_status_with_peers_down(counted):
    counted.redis.stop()
    done = counted.meterctl("status")
    assert done.returncode == 1
    assert "redis     down" in done.stdout and "unmapped" in done.stdout
    counted.postgres.stop()
    assert counted.meterctl("status").returncode == 1
    counted.redis.start()
    done = counted.meterctl("status")
    assert done.returncode == 1
    assert "postgres  down" in done.stdout and STREAM in done.stdout
    counted.postgres.start()
    counted.must("meterctl", "status")


def test_watch_shows_the_status_again_and_again(counted, folder):
    with open(folder / "watch", "wb") as out:
        watch = counted.start("meterctl", args=["watch"], popen={"stdout": out})
    counted.wait_for(lambda: (folder / "watch").read_text().count("stages\n") >= 2)
    watch.kill9()


def test_restore_accept_wants_a_yes(counted):
    assert "not held" in counted.must("meterctl", "restore", "accept").stdout
    counted.sql("UPDATE ledger_state SET value = 2 WHERE name = 'sink_hold'")
    counted.sql("UPDATE stream_positions SET lost = 5")
    done = counted.meterctl("restore", "accept")
    assert done.returncode == 1 and f"stream={STREAM} epoch=1 lost=5" in done.stdout
    hold = "SELECT value FROM ledger_state WHERE name = 'sink_hold'"
    assert counted.value(hold) == 2
    counted.must("meterctl", "restore", "accept", "--yes")
    assert counted.value(hold) == 0


# statements

TEMPORARY = "".join(f"{path.read_text()};" for path in sorted((ROOT / "ctl").rglob("rebuild_create_*.sql"))
                    ).replace("ON COMMIT DROP", "")


@pytest.mark.parametrize("path", sorted((ROOT / "ctl").rglob("*.sql")),
                         ids=lambda path: path.stem)
def test_statement_fits_the_schema(migrated, path):
    text = path.read_text()
    assert text.startswith("-- ")
    # A table is made by `migrate`, or by the command for itself, and cannot be prepared.
    if "CREATE TABLE" not in text and "CREATE TEMPORARY TABLE" not in text:
        as_role(migrated, "ctl", f"{TEMPORARY if path.stem.startswith('rebuild_') else ''} PREPARE statement AS {text}")


# roles

def as_role(line, role, query, *params, tenant=None):
    with line.postgres.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT set_config('role', %s, false)", (f"meterline_{role}",))
        if tenant:
            cursor.execute("SELECT set_config('meterline.tenant', %s, false)", (tenant,))
        cursor.execute(query, params or None)
        return cursor.fetchall() if cursor.description else []


@pytest.mark.parametrize("role, query", [
    ("aggregator", "UPDATE metrics SET unit = 'x'"),
    ("aggregator", "UPDATE usage_submissions SET state = 'sent'"),
    ("aggregator", "DELETE FROM usage_batches"),
    ("aggregator", "UPDATE usage_quotas SET cap = 'none'"),
    ("sink", "UPDATE usage_totals SET quantity = 0"),
    ("sink", "UPDATE stream_positions SET last_id = '0-0'"),
    ("sink", "SELECT 1 FROM usage_batches"),
    ("sink", "DELETE FROM usage_submissions"),
    ("webhookd", "UPDATE usage_totals SET quantity = 0"),
    ("webhookd", "UPDATE usage_submissions SET state = 'void'"),
    ("webhookd", "UPDATE billing_history SET kind = 'x'"),
    ("webhookd", "SELECT 1 FROM usage_batches"),
    ("api", "UPDATE usage_totals SET quantity = 0"),
    ("api", "SELECT 1 FROM usage_batches"),
    ("tenant", "UPDATE usage_totals SET quantity = 0"),
    ("tenant", "INSERT INTO usage_quotas (tenant, metric, cap) VALUES ('a', 'api_calls', 'none')"),
    ("tenant", "SELECT 1 FROM usage_batches"),
    ("tenant", "SELECT 1 FROM webhook_events"),
    ("tenant", "SELECT 1 FROM rejected_events"),
], ids=lambda value: value.split()[0] if " " in value else value)
def test_role_may_not(migrated, role, query):
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        as_role(migrated, role, query)


def test_tenant_sees_only_its_rows(line):
    for tenant, quantity in (("acme", 5), ("zen", 7)):
        add_total(line, tenant, "api_calls", quantity)
        add_minute(line, tenant, "api_calls", quantity)
    add_batch(line, 1, batch=1)
    rows = as_role(line, "tenant", "SELECT tenant, quantity FROM usage_totals", tenant="zen")
    assert rows == [("zen", 7)]
    assert len(as_role(line, "tenant", "SELECT tenant FROM usage_aggregates", tenant="zen")) == 1
    assert not as_role(line, "tenant", "SELECT tenant FROM usage_events", tenant="zen")
    assert len(as_role(line, "tenant", "SELECT tenant FROM usage_events", tenant="acme")) == 1
    assert not as_role(line, "tenant", "SELECT tenant FROM usage_totals")


@pytest.mark.own_servers
def test_ctl_needs_only_its_own_role(line):
    line.sql("CREATE ROLE operator LOGIN")
    url = line.postgres.url_of("operator")
    refused = line.meterctl("audit", DATABASE_URL=url)
    assert refused.returncode == 3 and "meterline_ctl" in refused.stderr
    line.sql("GRANT meterline_ctl TO operator")
    for args in (["audit"], ["status"], ["catalog", "show"], ["catalog", "apply", CATALOG],
                 ["restore", "accept"]):
        done = line.meterctl(*args, DATABASE_URL=url)
        assert done.returncode == 0, (args, done.stderr)


@pytest.fixture(scope="module")
def migrated(tmp_path_factory):
    """One server for all tests that change nothing."""
    own = Line(tmp_path_factory.mktemp("meterctl"))
    try:
        own.postgres.start()
        own.migrate()
        yield own
    finally:
        own.close()
