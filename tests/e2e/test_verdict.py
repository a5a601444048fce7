"""The verdict and reservations: the same rule in Lua and in SQL as in C, and no overdraft."""

import csv
import random
import threading
import time

import pytest
import redis as redis_py

from line.paths import ROOT

CASES = list(csv.DictReader((ROOT / "tests" / "verdicts.csv").open(encoding="utf-8")))
FREE = {"llm_tokens": "10000", "api_calls": "1000", "user_seats": "3"}
HOUR_MS = 3600 * 1000


def now_ms():
    return int(time.time() * 1000)


def check(line, tenant, metric="api_calls", quantity="1", *now):
    return line.client().fcall("meterline_check", 1, f"quota:{{{tenant}}}", metric, quantity, *now)


def reserve(client, tenant, reservation, quantity="1", metric="api_calls", ttl_ms=60000):
    return client.fcall("meterline_reserve", 1, f"quota:{{{tenant}}}", metric, quantity, reservation, ttl_ms)


def settle(client, tenant, reservation, entry, *quantity, metric="api_calls"):
    return client.fcall("meterline_settle", 1, f"quota:{{{tenant}}}", metric, reservation, entry, *quantity)


def has_functions(client):
    try:
        return client.fcall_ro("meterline_library", 0)
    except redis_py.ResponseError:
        return None


def hard_cap(line, tenant, limit, metric="api_calls"):
    line.sql("INSERT INTO tenant_limits (tenant, metric, included, cap) VALUES (%s, %s, %s, 'hard')", tenant, metric, limit)
    line.wait_for(lambda: line.client().hget(f"quota:{{{tenant}}}", f"{metric}.limit") == str(limit), 20)


@pytest.fixture
def webhookd(line):
    stage = line.start_webhookd(STRIPE_SECRET_KEY=None, WEBHOOKD_HEAL_S=3600).wait_ready()
    line.wait_for(lambda: has_functions(line.client()), 20, "the functions are loaded")
    return stage


def test_lua_says_what_the_table_says(line, webhookd):
    client = line.client()
    for number, case in enumerate(CASES):
        tenant, now = f"t{number}", int(case["now_ms"])
        client.hset(f"quota:{{{tenant}}}", mapping={
            "status": case["status"], "api_calls.cap": case["cap"], "api_calls.grace_until": case["grace_until_ms"],
            "api_calls.used": case["used"], "api_calls.period_end": now + 1,
            **({"api_calls.limit": case["limit"]} if case["limit"] else {})})
        client.hset(f"holds:{{{tenant}}}", "api_calls", case["held"])
        assert check(line, tenant, "api_calls", case["quantity"], now)[:2] == [case["verdict"], case["reason"]], case


def test_sql_says_what_the_table_says(line):
    for case in CASES:
        limit = case["limit"]
        found = line.sql("SELECT verdict, reason FROM decide_quota(%s, %s, %s, %s, to_timestamp(%s / 1000.0), %s, %s, %s, "
                         "to_timestamp(%s / 1000.0))", case["status"], limit != "", None if limit in ("", "unlimited") else limit,
                         case["cap"], case["grace_until_ms"], case["used"], case["held"], case["quantity"], case["now_ms"])
        assert found == [(case["verdict"], case["reason"])], case


def test_a_tenant_that_nobody_knows_has_the_plan_free(line, webhookd):
    line.wait_for(lambda: line.client().hget("quota:{}", "api_calls.limit") == FREE["api_calls"], 20)
    assert check(line, "stranger")[:2] + check(line, "stranger")[4:6] == ["allow", "ok", FREE["api_calls"], "soft"]
    assert check(line, "stranger", "user_seats", "4")[:2] == ["deny", "hard_cap"]
    assert check(line, "stranger", "active_users")[:2] == ["allow", "ok"], "the plan does not limit it"
    assert check(line, "stranger", "typo")[:2] == ["deny", "unknown_metric"]
    for metric, quantity in (("api_calls", 1), ("api_calls", 1001), ("user_seats", 4), ("active_users", 5), ("typo", 1)):
        assert line.sql("SELECT verdict, reason FROM quota_verdict('stranger', %s, %s)", metric, quantity) \
            == [tuple(check(line, "stranger", metric, str(quantity))[:2])]


def test_used_counts_until_its_period_ends(line, webhookd):
    line.client().hset("quota:{acme}", mapping={
        "status": "active", "api_calls.limit": "10", "api_calls.cap": "hard", "api_calls.used": "10.5",
        "api_calls.period_end": 5000})
    assert check(line, "acme", "api_calls", "1", 4999) == ["deny", "hard_cap", "10.5", "0", "10", "hard", "5000"]
    assert check(line, "acme", "api_calls", "1", 5000) == ["allow", "ok", "0", "0", "10", "hard", "5000"]


@pytest.mark.parametrize("quantity", ["-1", "", "1e3", "1.", ".5", "0.0000000001", "9" * 30, "nan", " 1"])
def test_a_quantity_that_is_none_is_refused(line, webhookd, quantity):
    with pytest.raises(redis_py.ResponseError, match="the quantity must be a decimal from 0 on"):
        check(line, "acme", "api_calls", quantity)
    with pytest.raises(redis_py.ResponseError, match="the quantity must be a decimal from 0 on"):
        reserve(line.client(), "acme", "r", quantity)


def test_reservations_are_held_settled_and_end(line, webhookd):
    client = line.client()
    hard_cap(line, "acme", 10)
    assert reserve(client, "acme", "a", "4")[:4] == ["allow", "ok", "0", "0"]
    assert reserve(client, "acme", "a", "4")[:4] == ["allow", "ok", "0", "0"], "the same again is one"
    assert reserve(client, "acme", "b", "6.5")[:4] == ["deny", "hard_cap", "0", "4"]
    assert reserve(client, "acme", "b", "6")[:4] == ["allow", "ok", "0", "4"]
    assert check(line, "acme")[:4] == ["deny", "hard_cap", "0", "10"]
    assert settle(client, "acme", "b", "") == 1, "nothing was emitted"
    assert settle(client, "acme", "b", "") == 0
    assert check(line, "acme", "api_calls", "6")[:4] == ["allow", "ok", "0", "4"]
    # Settled with less than was held: it is held until used has the entry, which two writers may tell in any order.
    assert settle(client, "acme", "a", "1700-5", "1.5") == 1
    assert check(line, "acme")[3] == "1.5"
    for as_of, held in (("1699-9", "1.5"), ("1700-4", "1.5"), ("1700-5", "0")):
        client.hset("quota:{acme}", "api_calls.as_of", as_of)
        assert check(line, "acme")[3] == held
    # A reservation that nobody settles ends by itself.
    assert reserve(client, "acme", "c", "10", ttl_ms=1)[0] == "allow"
    time.sleep(0.005)
    assert check(line, "acme")[3] == "0"
    assert reserve(client, "acme", "d", "10")[:4] == ["allow", "ok", "0", "0"]
    assert settle(client, "acme", "d", "") == 1
    assert sorted(client.keys("holds:{acme}*")) == ["holds:{acme}"], "what has ended is deleted"


def test_bad_reservations_are_refused(line, webhookd):
    for arguments, words in ((("r 1", "1"), "1 to 255 printable"), (("", "1"), "1 to 255 printable"),
                             (("x" * 256, "1"), "1 to 255 printable")):
        with pytest.raises(redis_py.ResponseError, match=words):
            reserve(line.client(), "acme", *arguments)
    for ttl in (0, -5, 86400001, "soon"):
        with pytest.raises(redis_py.ResponseError, match="time to live"):
            reserve(line.client(), "acme", "r", ttl_ms=ttl)
    with pytest.raises(redis_py.ResponseError, match="the id that XADD answered"):
        settle(line.client(), "acme", "r", "tomorrow")


@pytest.mark.parametrize("seed", [342874647, None])
def test_holds_are_what_a_model_says(line, webhookd, seed):
    """A random life of one tenant's reservations, beside the plainest model of them."""
    seed = seed or random.SystemRandom().randrange(10 ** 9)
    print("seed", seed)
    rng, client, held, settled, as_of = random.Random(seed), line.client(), {}, {}, (0, 0)
    hard_cap(line, "acme", 1000)
    for step in range(600):
        name = f"r{rng.randrange(40)}"
        total = sum(held.values()) + sum(quantity for quantity, _ in settled.values())
        action = rng.randrange(4)
        if action < 2:
            quantity = rng.randrange(0, 120)
            known = name in held or name in settled
            verdict = reserve(client, "acme", name, str(quantity))
            if known:
                assert verdict[0] != "deny", (seed, step)
            else:
                assert (verdict[0] == "allow") == (total + quantity <= 1000), (seed, step, verdict, total)
                if verdict[0] == "allow":
                    held[name] = quantity
        elif action == 2:
            entry = (rng.randrange(as_of[0], as_of[0] + 50), rng.randrange(4))
            found = settle(client, "acme", name, f"{entry[0]}-{entry[1]}")
            assert found == int(name in held or name in settled), (seed, step)
            if found:
                settled[name] = (held.pop(name, None) or settled.get(name, (0,))[0], entry)
        else:
            as_of = (as_of[0] + rng.randrange(20), rng.randrange(4))
            client.hset("quota:{acme}", "api_calls.as_of", f"{as_of[0]}-{as_of[1]}")
        settled = {name: kept for name, kept in settled.items() if kept[1] > as_of}
        assert int(check(line, "acme")[3]) == sum(held.values()) + sum(q for q, _ in settled.values()), (seed, step)


def test_the_functions_come_back(line, webhookd):
    client = line.client()
    client.execute_command("FUNCTION", "FLUSH")
    line.wait_for(lambda: has_functions(client), 5, "they are loaded again")
    assert check(line, "stranger")[0] == "allow"
    # Another plan free is another library, a second after it was applied.
    line.sql("UPDATE plan_limits SET included = 7, cap = 'hard' WHERE plan = 'free' AND metric = 'api_calls'")
    line.sql("UPDATE ledger_state SET value = value + 1 WHERE name = 'catalog_version'")
    line.wait_for(lambda: check(line, "stranger", "api_calls", "8")[:2] == ["deny", "hard_cap"], 10)
    # Of two webhookds the one with the older catalog does not set it back.
    newer = "1000000 1 1"
    code = client.execute_command("FUNCTION", "LIST", "LIBRARYNAME", "meterline_quota", "WITHCODE")[0]
    text = dict(zip(code[::2], code[1::2]))["library_code"] if isinstance(code, list) else code["library_code"]
    client.function_load(text.replace(f"'{has_functions(client)}'", f"'{newer}'"), replace=True)
    time.sleep(2.5)
    assert has_functions(client) == newer


@pytest.mark.long
def test_concurrent_reservations_end_at_the_cap_while_the_aggregator_is_killed(line, webhookd):
    """64 clients that reserve, emit and settle against a hard cap of 1,000: exactly 1,000 events are counted."""
    hard_cap(line, "acme", 1000)
    stage = line.start_aggregator().wait_ready()
    stop, emitted, denied, errors = threading.Event(), [], [], []

    def work(number):
        client = line.redis.client()
        rng = random.Random(number)
        try:
            for turn in range(10 ** 6):
                if stop.is_set():
                    return
                name = f"{number}-{turn}"
                if reserve(client, "acme", name)[0] != "allow":
                    denied.append(name)
                    stop.wait(0.2)
                    continue
                if rng.random() < 0.05:  # The work failed: nothing was used.
                    settle(client, "acme", name, "")
                    continue
                emitted.append(client.xadd("usage:events", {"tenant": "acme", "metric": "api_calls", "quantity": 1}))
                settle(client, "acme", name, emitted[-1])
        except Exception as error:  # pylint: disable=broad-except
            errors.append(error)

    clients = [threading.Thread(target=work, args=(number,)) for number in range(64)]
    for client in clients:
        client.start()
    for _ in range(4):
        time.sleep(0.4)
        stage.kill9()
        stage = line.start_aggregator().wait_ready()
    line.wait_for(lambda: len(emitted) >= 1000 or errors, 120, "the cap is used up")
    line.wait_for(lambda: line.sql("SELECT get_current_usage('acme', 'api_calls')")[0][0] >= 1000 or errors, 60)
    seen = len(denied)
    line.wait_for(lambda: len(denied) > seen + 200 or errors, 60, "and nobody gets more")
    stop.set()
    for client in clients:
        client.join()
    assert not errors
    assert len(emitted) == 1000
    line.wait_for(lambda: line.client().hget("quota:{acme}", "api_calls.used") == "1000", 90)
    line.wait_for(lambda: check(line, "acme")[:4] == ["deny", "hard_cap", "1000", "0"], 90, "no hold is left")
