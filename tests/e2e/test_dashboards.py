"""The dashboards: what the script makes; every query of every panel, and what each alert asks for, on a line that runs."""

import contextlib
import json
import re
import subprocess

import psycopg2
import pytest
import yaml

from line.paths import CATALOG, ROOT
from line.wait import NotInTime
from support.prometheus_server import PrometheusServer
from support.watched_line import TENANTS, start_watched

FOLDER = ROOT / "deploy" / "grafana"
DASHBOARDS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (FOLDER / "dashboards").glob("*.json")}
PANELS = [(f"{name}: {panel['title']}", target) for name, made in DASHBOARDS.items() for panel in made["panels"]
          for target in panel["targets"]]
PROMQL = [(title, target["expr"]) for title, target in PANELS if "expr" in target]
SQL = [(title, target["rawSql"]) for title, target in PANELS if "rawSql" in target]
VARIABLES = [(f"variable {made['name']}", made["query"]) for made in DASHBOARDS["tenants"]["templating"]["list"]]
RULES = [rule for group in yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text())["groups"]
         for rule in group["rules"]]
# What only time, or a machine that is not here, brings about.
NOT_HERE = {"postgres_disk:free_bytes", "postgres_disk:size_bytes"}
FAULTS = {'meterline_unclaimed_units{age="over_1d", reason!~"unmapped|before_subscription"}',
          'meterline_unclaimed_units{reason="contested"}'}


def as_grafana(query):
    """With the values that Grafana puts in: a time range of an hour, and four scrapes for a rate."""
    query = query.replace("$__rate_interval", "8s").replace("${tenant:sqlstring}", "'acme'")
    query = query.replace("${metric:sqlstring}", "'api_calls'")
    return re.sub(r"\$__timeFilter\((\w+)\)", r"\1 BETWEEN now() - interval '1 hour' AND now() + interval '1 minute'", query)


def feed(line):
    """Usage as on any day: counted, repeated, rejected, in conflict, over a limit, from a tenant that fell silent."""
    now_ms = line.value("SELECT (extract(epoch FROM now()) * 1000)::bigint")
    for tenant in [*TENANTS, "free"]:
        for number in range(20):
            line.xadd(tenant=tenant, metric="api_calls", quantity="2.5")
            line.xadd(tenant=tenant, metric="llm_tokens", quantity=str(number), id=f"llm-{number // 2}")
    line.xadd(tenant="acme", metric="api_calls", quantity="900000000")
    line.xadd(tenant="idle", metric="api_calls", ts=str(now_ms - 3 * 86400000))
    for wrong in ({"quantity": "many"}, {"metric": "unheard_of"}):
        line.xadd(**{"tenant": "acme", "metric": "api_calls", **wrong})


def test_the_json_is_what_the_script_makes(tmp_path):
    subprocess.run([FOLDER / "make_dashboards", tmp_path], check=True)
    made = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_text(encoding="utf-8") for path in (FOLDER / "dashboards").iterdir()}
    assert set(DASHBOARDS) == {"activation-funnel", "pipeline", "revenue", "roi", "stripe", "tenants"}


def test_no_two_panels_copy_one_query():
    queries = [query for _, query in PROMQL + SQL]
    assert len(set(queries)) == len(queries) > 50
    for made in DASHBOARDS.values():
        assert made["schemaVersion"] >= 38
        places = [tuple(panel["gridPos"].values()) for panel in made["panels"]]
        assert all(x + width <= 24 for x, _, width, _ in places)
        cells = [(x + i, y + j) for x, y, width, height in places for i in range(width) for j in range(height)]
        assert len(set(cells)) == len(cells), "panels that overlap"


def test_data_sources_and_provider_are_those_of_the_panels():
    sources = yaml.safe_load((FOLDER / "provisioning/datasources/meterline.yaml").read_text())["datasources"]
    known = {(source["type"], source["uid"]) for source in sources}
    assert {(target["datasource"]["type"], target["datasource"]["uid"]) for _, target in PANELS} == known
    assert "$__file{" in json.dumps(sources) and not re.search(r'"password": "(?!\$__file)', json.dumps(sources))
    path = yaml.safe_load((FOLDER / "provisioning/dashboards/meterline.yaml").read_text())["providers"][0]["options"]["path"]
    assert path == "/etc/grafana/dashboards" and path in (FOLDER / "README.md").read_text()


def selectors(expression):
    """Each series that a rule asks for, with its labels."""
    return re.findall(r"\b(?:meterline_\w+|up|postgres_disk:\w+)(?:\{[^}]*\})?", re.sub(r"(by|on) \([^)]*\)", "", expression))


def go_on(line):
    """A little more of what feed began with: of rates, only what goes on is seen."""
    line.xadd(tenant="acme", metric="api_calls")
    entry = line.xadd(tenant="acme", metric="unheard_of")
    customer = line.value("SELECT stripe_customer_id FROM billing_customers WHERE tenant = 'acme'")
    line.sandbox.api("POST", f"/v1/customers/{customer}", {"description": entry})


def make_rollups(line):
    """What the boards of revenue, activation and ROI read."""
    catalog = json.loads(CATALOG.read_text(encoding="utf-8"))
    catalog["metrics"][0].update(cost_per_unit={"amount_minor": "3", "per": "1000", "currency": "usd"}, hours_saved="0.01")
    line.must("meterctl", "catalog", "apply", "-", input=json.dumps(catalog))
    line.sql("INSERT INTO stripe_prices (stripe_price_id, unit_amount, billing_interval, interval_count, currency, usage_type)"
             " VALUES ('price_fee', 9900, 'month', 1, 'usd', 'licensed')")
    line.sql("UPDATE subscription_states SET items = items || '[{\"id\": \"si_fee\", \"price\": \"price_fee\", \"quantity\": 1}]'")
    line.must("meterctl", "activation", "import", "-", input="acme,preview,2026-11-02\nacme,analytics,2026-11-03\n")
    line.must("meterctl", "rollup")


@pytest.fixture(name="grafana")
def grafana_fixture(line):
    with contextlib.closing(psycopg2.connect(line.postgres.url)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute("SET ROLE meterline_grafana")
        yield cursor


@pytest.mark.long
def test_what_panels_and_rules_ask_for_is_there_on_a_line_that_runs(line, folder, grafana):
    """Each panel's query answers rows, SQL to the role that Grafana has; no alert fires, though all that they ask for is there."""
    with contextlib.closing(PrometheusServer(folder, start_watched(line, feed), scrape="2s").start()) as prometheus:
        left = [(title, as_grafana(query)) for title, query in PROMQL]

        def all_answered():
            go_on(line)
            left[:] = [(title, query) for title, query in left if not prometheus.query(query)]
            return not left
        with contextlib.suppress(NotInTime):
            line.wait_for(all_answered, 60)
        assert not left
        make_rollups(line)
        for title, query in SQL + VARIABLES:
            def rows(q=as_grafana(query)):
                grafana.execute(q)
                return grafana.fetchall()
            line.wait_for(rows, 30, f"rows for {title}")
        series = {each for rule in RULES if "alert" in rule for each in selectors(rule["expr"])}
        assert len(series) > 30 and FAULTS < series
        for each in series - NOT_HERE - FAULTS:
            line.wait_for(lambda s=each: prometheus.query(s), 30, f"series {each}")
        assert not any(map(prometheus.query, FAULTS))
        # Of what goes on here, every other event is refused, and nothing else is amiss.
        assert {rule.get("alert") for rule in RULES if prometheus.query(rule["expr"])} <= {"EventsRejected"}


def test_the_role_writes_nothing_and_reads_no_more_than_panels_show(line, grafana):
    tables = [row.name for row in line.sql("SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace "
                                           "AND relkind IN ('r', 'p', 'v') AND NOT relispartition")]
    readable = set()
    for table in tables:
        granted = line.sql("SELECT privilege_type AS what FROM information_schema.column_privileges "
                           "WHERE grantee = 'meterline_grafana' AND table_name = %s", table)
        assert {row.what for row in granted} <= {"SELECT"}, table
        readable |= {table} if granted else set()
        for statement in ("DELETE FROM {}", "INSERT INTO {} DEFAULT VALUES"):
            with pytest.raises((psycopg2.errors.InsufficientPrivilege, psycopg2.errors.ObjectNotInPrerequisiteState)):
                grafana.execute(statement.format(table))
    assert len(tables) > 30
    asked = " ".join(query for _, query in SQL + VARIABLES)
    assert readable == set(re.findall(r"(?:FROM|JOIN) ([a-z_]+)\b(?!\()", asked)) - {"used"}
    for statement in ("CREATE TABLE mine (a int)", "SELECT nextval('usage_version')", "SELECT email FROM billing_customers",
                      "SELECT payload FROM webhook_events", "SELECT fields FROM rejected_events", "SELECT * FROM usage_totals",
                      "UPDATE usage_quotas SET cap = 'none'"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            grafana.execute(statement)
    assert not line.value("SELECT bool_or(pg_has_role('meterline_grafana', oid, 'MEMBER')) FROM pg_roles "
                          "WHERE rolname ~ '^meterline_' AND rolname <> 'meterline_grafana'")
