"""Limits in the quota cache: written when they change, healed when they are lost, and else nothing is
asked of Redis."""

import json
import time

import pytest

TENANTS = 1000
OWN = "quota:{%s}"
# What a stage sends whether tenants have quotas or not.
COMMANDS_BY_NAME = ("hmget", "hget", "hset", "eval", "fcall", "hdel", "hexists", "type")


def add_tenants(line, count=TENANTS):
    """Customers with a plan and usage, as webhookd and aggregator would have written them."""
    line.sql("INSERT INTO usage_totals (tenant, metric, period_start, period_end, quantity, version, last_ms, "
             "last_entry) SELECT 't' || i, m, p.period_start, p.period_end, 5, nextval('usage_version'), 0, '' "
             "FROM generate_series(1, %s) i, unnest('{api_calls,llm_tokens}'::text[]) m, billing_period('t' || i, now()) p",
             count)


def calls(line):
    """How often each command ran so far, in scripts too."""
    return {name.removeprefix("cmdstat_"): stat["calls"]
            for name, stat in line.client().info("commandstats").items()}


def spent(line, before, names=COMMANDS_BY_NAME):
    now = calls(line)
    return sum(now.get(name, 0) - before.get(name, 0) for name in names)


def limit(line, tenant, metric="api_calls"):
    return line.client().hget(OWN % tenant, f"{metric}.limit")


def used(line, tenant, metric="api_calls"):
    return line.client().hget(OWN % tenant, f"{metric}.used")


def rounds(line):
    """When each of the writers last ended a round over all tenants."""
    seen = line.client().hgetall("meterline:quota_checked")
    return int(seen.get("limits_at", 0)), int(seen.get("used_at", 0))


def wait_rounds(line, count=1, timeout=150):
    for _ in range(count):
        before = rounds(line)
        line.wait_for(lambda: all(now > then for now, then in zip(rounds(line), before)), timeout,
                      "both writers have gone over all tenants")


@pytest.fixture
def idle(line):
    """1,000 tenants in the cache, and nothing happens any more."""
    add_tenants(line)
    line.start_aggregator().wait_ready()
    webhookd = line.start_webhookd(STRIPE_SECRET_KEY=None, WEBHOOKD_HEAL_S=60).wait_ready()
    line.wait_for(lambda: all(rounds(line)) and limit(line, "t1000") and used(line, "t1000"), 120)
    return webhookd


@pytest.mark.long
def test_idle_tenants_cost_no_command_and_what_is_lost_comes_back(line, idle):
    before = calls(line)
    wait_rounds(line)
    quiet = spent(line, before)
    print("commands for 1,000 idle tenants in a round of both writers:", quiet)
    assert quiet < TENANTS / 4  # The aggregator looks at its stream by an EVAL a second.
    # A hash that somebody deletes shows in the stamp: all are looked at, and it is written again.
    line.client().delete(OWN % "t7")
    line.client().hdel(OWN % "t8", "api_calls.limit", "api_calls.used")
    before = calls(line)
    line.wait_for(lambda: limit(line, "t7") and used(line, "t7") and limit(line, "t8") and used(line, "t8"),
                  130, "they are back")
    looked = spent(line, before, ("hmget", "eval", "fcall", "hset"))
    print("… in the round after a DEL:", looked)
    assert looked < 2 * TENANTS + 300  # an HMGET of each writer, and that EVAL


def test_a_wrong_field_that_no_stamp_tells_is_set_right(line):
    """HSET by somebody: found by the round that looks at all, once in ten."""
    add_tenants(line, 3)
    line.start_webhookd(STRIPE_SECRET_KEY=None, WEBHOOKD_HEAL_S=1).wait_ready()
    line.wait_for(lambda: limit(line, "t3"))
    right = limit(line, "t3")
    line.client().hset(OWN % "t3", "api_calls.limit", "unlimited")
    line.wait_for(lambda: limit(line, "t3") == right, 30, "it is right again")


@pytest.mark.own_servers
def test_an_emptied_redis_is_filled_again(line):
    add_tenants(line, 20)
    line.start_webhookd(STRIPE_SECRET_KEY=None, WEBHOOKD_HEAL_S=3600).wait_ready()
    line.wait_for(lambda: all(limit(line, f"t{n}") for n in range(1, 21)))
    line.redis.restart_empty()
    line.wait_for(lambda: all(limit(line, f"t{n}") for n in range(1, 21)), 30)


@pytest.mark.parametrize("command", ["FLUSHALL", "FLUSHDB"])
def test_a_cache_that_was_emptied_is_full_again_within_seconds(line, command):
    add_tenants(line, 3000)
    line.start_aggregator().wait_ready()
    line.start_webhookd(STRIPE_SECRET_KEY=None, WEBHOOKD_HEAL_S=3600).wait_ready()
    names = [OWN % f"t{n}" for n in range(1, 3001)]

    def is_full():
        pipe = line.client().pipeline(transaction=False)
        for name in names:
            pipe.hmget(name, "api_calls.limit", "api_calls.used")
        return all(limit == "1000" and used == "5" for limit, used in pipe.execute())

    line.wait_for(is_full, 120)
    line.wait_for(lambda: all(rounds(line)), 120)
    line.client().execute_command(command)
    print("all is there again after", round(took(line, is_full), 1), "s")


# What changes.

@pytest.fixture
def webhookd(line):
    """Its rounds are an hour apart: what comes sooner is not their work."""
    add_tenants(line, 50)
    stage = line.start_webhookd(STRIPE_SECRET_KEY=None, WEBHOOKD_HEAL_S=3600).wait_ready()
    line.wait_for(lambda: limit(line, "t50") == "1000")
    stage.wait_log("limits_rewritten")
    return stage


def took(line, condition):
    begun = time.monotonic()
    line.wait_for(condition, 20)
    return time.monotonic() - begun


@pytest.mark.parametrize("statement, expected", [
    ("INSERT INTO tenant_limits (tenant, metric, included) VALUES ('t3', 'api_calls', 77.5)", "77.5"),
    ("INSERT INTO tenant_limits (tenant, metric, unlimited) VALUES ('t3', 'api_calls', true)", "unlimited")])
def test_a_tenants_own_limit_reaches_redis_at_once(line, webhookd, statement, expected):
    line.sql(statement)
    seconds = took(line, lambda: limit(line, "t3") == expected)
    line.sql("UPDATE tenant_limits SET included = 5, unlimited = false")
    seconds = max(seconds, took(line, lambda: limit(line, "t3") == "5"))
    line.sql("DELETE FROM tenant_limits")
    seconds = max(seconds, took(line, lambda: limit(line, "t3") == "1000"))
    print("seconds", round(seconds, 3))
    assert seconds < 3  # 0.5 s by itself; the machine may be busy
    line.wait_for(lambda: line.value("SELECT count(*) FROM limit_changes") == 0)
    assert limit(line, "t4") == "1000"


def test_a_new_catalog_reaches_redis_at_once(line, webhookd):
    line.sql("UPDATE plan_limits SET included = 66 WHERE plan = 'free' AND metric = 'api_calls'")
    line.sql("UPDATE ledger_state SET value = value + 1 WHERE name = 'catalog_version'")
    seconds = took(line, lambda: all(limit(line, f"t{n}") == "66" for n in range(1, 51)))
    print("seconds", round(seconds, 3))
    assert seconds < 4


@pytest.mark.own_servers
def test_changes_wait_while_redis_is_away(line, webhookd):
    line.redis.stop()
    line.wait_for(lambda: not webhookd.ready())
    line.sql("INSERT INTO tenant_limits (tenant, metric, included) VALUES ('t3', 'api_calls', 9)")
    line.redis.start()
    line.wait_for(lambda: limit(line, "t3") == "9" and not line.sql("SELECT FROM limit_changes"))


def test_two_webhookds_agree(line, webhookd):
    line.start_webhookd(STRIPE_SECRET_KEY=None, WEBHOOKD_HEAL_S=1).wait_ready()
    for included in range(1, 8):
        line.sql("INSERT INTO tenant_limits (tenant, metric, included) VALUES ('t3', 'api_calls', %s) "
                 "ON CONFLICT (tenant, metric) DO UPDATE SET included = excluded.included", included)
        line.wait_for(lambda n=included: limit(line, "t3") == str(n))
    line.wait_for(lambda: not line.sql("SELECT FROM limit_changes"))
    assert limit(line, "t3") == "7"


# meterctl quota.

def shown(line, *args):
    rows = json.loads(line.must("meterctl", "quota", "show", *args, "--json").stdout)
    return {(row["tenant"], row["metric"]): row for row in rows}


def test_a_limit_that_is_set_is_in_redis_and_shown(line, webhookd):
    done = line.must("meterctl", "quota", "set", "t3", "api_calls", "--limit", "77.5", "--cap", "hard")
    assert "77.5" in done.stdout
    line.wait_for(lambda: limit(line, "t3") == "77.5" and line.client().hget(OWN % "t3", "api_calls.cap") == "hard")
    row = shown(line, "t3")["t3", "api_calls"]
    assert (row["limit"], row["cap"], row["used"], row["plan"]) == ("77.5", "hard", "5", "free")
    assert (row["plan_limit"], row["own_limit"], row["own_cap"]) == ("1000", "77.5", "hard")
    # What is not said stays.
    line.must("meterctl", "quota", "set", "t3", "api_calls", "--unlimited")
    line.wait_for(lambda: limit(line, "t3") == "unlimited")
    assert shown(line)["t3", "api_calls"]["cap"] == "hard"
    line.must("meterctl", "quota", "set", "t3", "api_calls", "--cap", "none")
    assert shown(line)["t3", "api_calls"]["limit"] == "unlimited"
    line.must("meterctl", "quota", "set", "t3", "api_calls", "--limit", "0")
    line.wait_for(lambda: limit(line, "t3") == "0")
    line.must("meterctl", "quota", "unset", "t3", "api_calls")
    line.wait_for(lambda: limit(line, "t3") == "1000")
    assert shown(line) == {}
    assert "no tenant has limits" in line.must("meterctl", "quota", "show").stdout


def test_a_tenant_that_is_still_to_come(line, webhookd):
    assert line.meterctl("quota", "set", "future", "api_calls", "--limit", "9").returncode == 1
    line.must("meterctl", "quota", "set", "future", "api_calls", "--limit", "9", "--new")
    line.wait_for(lambda: limit(line, "future") == "9")
    line.must("meterctl", "quota", "unset", "future")


@pytest.mark.parametrize("args, code, said", [
    ("show t33 --json", 1, "did you mean t3"), ("set t3 api_cals --unlimited", 1, "did you mean api_calls"),
    ("set t3 api_calls", 2, "is required"), ("set t3 --unlimited", 2, "an argument is missing: meterctl quota set TENANT METRIC"),
    ("set t3 api_calls --limit -1", 2, "--limit"), ("set t3 api_calls --limit 1e9", 2, "--limit"),
    ("set t3 api_calls --limit 1 --unlimited", 2, "cannot be used together"), ("set t3 api_calls --cap firm", 2, "none, soft or hard"),
    ("set t33 api_calls --unlimited", 1, "--new"), ("unset t3", 1, "no such limit"),
    ("set t3 api_calls --window year", 2, "period, month or day"), ("set t3 user_seats --window day", 1, "sum, count, max"),
    ("set t3 api_calls --limit 1 --until 2020-01-01", 1, "a time to come"), ("refresh t33", 1, "did you mean t3"),
    ("unset t3 api_calls x", 2, "unknown argument: x"), ("show a b", 2, "b")])
def test_wrong_words_are_told(line, args, code, said):
    add_tenants(line, 3)
    done = line.meterctl("quota", *args.split())
    assert done.returncode == code and said in done.stderr, done.stderr
    assert ("that is still to come" in done.stderr) == ("t33" in args and "set" in args)
    assert line.value("SELECT count(*) FROM tenant_limits") == 0


def test_a_limit_with_a_window_and_an_end(line, webhookd):
    line.must("meterctl", "quota", "set", "t3", "api_calls", "--limit", "7", "--window", "day", "--until", "2099-12-31")
    row = shown(line, "t3")["t3", "api_calls"]
    assert (row["limit"], row["window"], row["own_window"], row["plan_window"]) == ("7", "day", "day", "period")
    day_ends = line.value("SELECT to_char(upper(usage_day(now())), 'YYYY-MM-DD')")
    assert row["resets_at"].startswith(day_ends) and row["own_until"].startswith("2099-12-31")
    assert "2099-12-31" in line.must("meterctl", "quota", "show", "t3", "--wide").stdout
    # What has ended is none any more, also when another one is set.
    line.sql("UPDATE tenant_limits SET until = now()")
    line.wait_for(lambda: limit(line, "t3") == "1000")
    assert shown(line) == {}
    line.must("meterctl", "quota", "set", "t3", "api_calls", "--cap", "hard")
    row = shown(line, "t3")["t3", "api_calls"]
    assert (row["limit"], row["window"], row["cap"]) == ("1000", "period", "hard") and row.get("own_until") is None


def test_what_somebody_changed_by_hand_is_right_again(line, webhookd):
    line.start_aggregator()
    line.wait_for(lambda: used(line, "t7") == "5")
    for tenants, args in ((["t7"], ["t7"]), (["t7", "t50"], [])):
        for tenant in tenants:
            line.client().hset(OWN % tenant, mapping={"api_calls.limit": "9", "api_calls.used": "1"})
            line.sql("UPDATE usage_quotas SET limit_quantity = 3 WHERE tenant = %s", tenant)
        done = line.must("meterctl", "quota", "refresh", *args)
        assert f"quotas of {len(args) or 50} tenant" in done.stdout
        line.wait_for(lambda tenants=tenants: all((limit(line, t), used(line, t)) == ("1000", "5") for t in tenants))


def test_all_tenants_are_refreshed_a_page_at_a_time(line):
    """PostgreSQL's table of locks, which all share, has no place for a lock of each tenant."""
    add_tenants(line, 20_000)
    line.sql("UPDATE usage_quotas SET limit_quantity = 3")
    held = int(line.value("SHOW max_locks_per_transaction")) * int(line.value("SHOW max_connections"))
    assert held < 20_000
    done = line.must("meterctl", "quota", "refresh")
    assert "quotas of 20000 tenants" in done.stdout
    assert line.value("SELECT count(DISTINCT tenant) FROM usage_quotas WHERE limit_quantity = 1000") == 20_001
    assert line.value("SELECT count(*) FROM limit_changes") == 20_001
