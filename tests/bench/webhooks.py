"""webhookd beside two peers on Node, each at what it does: signed webhooks stored durably, beside express with pg; stored
and worked, beside @supabase/stripe-sync-engine. All take the same events, and take turns. And how soon a customer who has
paid goes on."""

import contextlib
import json
import pathlib
import statistics
import subprocess
import sys
import threading
import time

from psycopg2.extras import execute_values

from line import npm, process
from line.line import CATALOG, TEST_WEBHOOK_SECRET
from line.paths import BUILD
from support.life_stripe import Stripe
from support.webhooks import post

from . import settings, webhook_events
from .cost import cpu_ticks, high_water_kib, postgres_cpu_s, TICKS_PER_S
from .ground import open_line, tell_load

PEERS = pathlib.Path(__file__).with_name("peers")
PACKAGES = {"stripe": "stripe@23.1.0", "express": "express@5.3.0", "pg": "pg@8.23.1",
            "@supabase/stripe-sync-engine": "@supabase/stripe-sync-engine@0.48.5"}
WORK_TIMEOUT_S = 600


def run():
    made = webhook_events.make(settings.WEBHOOK_TENANTS, settings.WEBHOOK_CYCLES)
    print(f"\nwebhooks: {len(made):,} events of {settings.WEBHOOK_TENANTS:,} tenants, {settings.WEBHOOK_CONNECTIONS} connections",
          flush=True)
    folder = find_peers()
    result = {"stored": compare(folder, "store", made), "worked": compare(folder, "sync", made),
              "unblocking": measure_unblocking()}
    result["faults"] = [fault for part in (*result["stored"]["rounds"], *result["worked"]["rounds"]) for one in part.values()
                        for fault in one["faults"]] + result["unblocking"]["faults"]
    return result


def compare(folder, peer, made):
    """Rounds of both, and how many times as fast webhookd was: the median, since the machine may be another's meanwhile."""
    rounds = []
    for _ in range(settings.WEBHOOK_ROUNDS):
        rounds.append({"webhookd": measure_webhookd(made, works=peer == "sync")})
        if folder:
            rounds[-1][peer] = measure_peer(folder, peer, made)
    times = [r["webhookd"]["per_s"] / r[peer]["per_s"] for r in rounds if peer in r]
    return {"peer": peer, "rounds": rounds, "times_peer": round(statistics.median(times), 2) if times else None}


# Storing and working.

def send(port, bodies, rate_per_s=0):
    """What post.c tells, as numbers."""
    done = subprocess.run([settings.TOOLS / "post", str(port), "/webhooks/stripe", TEST_WEBHOOK_SECRET,
                           str(settings.WEBHOOK_CONNECTIONS), str(rate_per_s)],
                          input=b"\0".join(body.encode() for body in bodies), capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(f"post ended with {done.returncode}: {done.stderr.decode()}")
    answered, good, seconds, p50_ms, p99_ms, most_ms = map(float, done.stdout.split())
    return {"events": int(answered), "per_s": round(answered / seconds), "seconds": round(seconds, 2), "p50_ms": p50_ms,
            "p99_ms": p99_ms, "max_ms": most_ms,
            "faults": [f"{int(answered - good)} of {int(answered)} got no 200"] if good < answered else []}


def cpu_s(pid):
    return sum(cpu_ticks(pid)[:2]) / TICKS_PER_S


def measure_webhookd(bodies, works):
    """per_s: how many are stored; if it works, how many are stored and worked until none waits."""
    with open_line("webhookd") as line:
        line.catalog(CATALOG)
        stage = line.start_webhookd(STRIPE_SECRET_KEY=None, **({} if works else {"WEBHOOKD_WORKERS": "0"})).wait_ready()
        tell_load(f"webhookd, {'stored and worked' if works else 'stored'}")
        before, began = (cpu_s(stage.pid), postgres_cpu_s(line)), time.monotonic()
        result = send(stage.port("webhooks"), bodies)
        result["stored_per_s"] = result["per_s"]
        if works:
            line.wait_for(lambda: not waiting(line), WORK_TIMEOUT_S, "all events are worked")
            result["per_s"] = round(len(bodies) / (time.monotonic() - began))
        result["cpu_s"] = round(cpu_s(stage.pid) - before[0], 2)
        result["postgres_cpu_s"] = round(postgres_cpu_s(line) - before[1], 2)
        result["peak_mib"] = round(high_water_kib(stage.pid) / 1024, 1)
        result["faults"] += find_wrong(line, bodies, works)
        return result


def waiting(line):
    return line.value("SELECT count(*) FROM (SELECT FROM webhook_events WHERE state = 'received' LIMIT 1) x")


def find_wrong(line, bodies, works):
    expected = {"webhook_events": len(bodies)}
    if works:
        expected = {
            "webhook_events WHERE state = 'processed'": len(bodies), "billing_history": len(bodies),
            "subscriptions WHERE status = 'active'": settings.WEBHOOK_TENANTS,
            "invoices WHERE status = 'paid'": settings.WEBHOOK_TENANTS * settings.WEBHOOK_CYCLES,
            "payments WHERE status = 'succeeded'": settings.WEBHOOK_TENANTS * settings.WEBHOOK_CYCLES}
    return find_others(line.value, expected)


def find_others(value, expected):
    found = {what: value(f"SELECT count(*) FROM {what}") for what in expected}
    return [f"{found[what]} of {count} {what}" for what, count in expected.items() if found[what] != count]


# The peers.

def find_peers():
    if not settings.WEBHOOK_PEERS:
        return None
    try:
        return npm.folder(BUILD / "node_bench", PACKAGES)
    except npm.Missing as why:
        print(f"  no peers on Node: {why}", flush=True)
        return None


def measure_peer(folder, name, bodies):
    with open_line(f"peer_{name}") as line:
        line.sql("CREATE DATABASE peer")
        url = line.postgres.url_of("postgres", "peer")
        with open_peer(folder, name, url) as (child, port):
            tell_load(f"peer: {name}")
            before = cpu_s(child.pid), postgres_cpu_s(line)
            result = send(port, bodies)
            result["cpu_s"] = round(cpu_s(child.pid) - before[0], 2)
            result["postgres_cpu_s"] = round(postgres_cpu_s(line) - before[1], 2)
            result["peak_mib"] = round(high_water_kib(child.pid) / 1024, 1)
        paid = settings.WEBHOOK_TENANTS * settings.WEBHOOK_CYCLES
        with line.postgres.connect(url) as connection, connection.cursor() as cursor:
            def value(query):
                cursor.execute(query)
                return cursor.fetchone()[0]

            result["faults"] += find_others(value, {
                "store": {"webhook_events": len(bodies)},
                "sync": {"stripe.customers": settings.WEBHOOK_TENANTS, "stripe.subscriptions": settings.WEBHOOK_TENANTS,
                         "stripe.invoices": paid, "stripe.charges": paid}}[name])
        connection.close()
        return result


@contextlib.contextmanager
def open_peer(folder, name, url):
    child = process.spawn(["node", PEERS / f"{name}.cjs", folder, url, TEST_WEBHOOK_SECRET],
                          env={"NODE_ENV": "production"}, stdout=subprocess.PIPE, text=True)
    try:
        yield child, int(child.stdout.readline())
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


# Unblocking.

def measure_unblocking():
    """From the webhook that says that a customer is in order again to `active` in the quota cache."""
    with open_line("unblocking") as line:
        line.catalog(CATALOG)
        stage = line.start_webhookd(STRIPE_SECRET_KEY=None).wait_ready()
        customers = [past_due(f"u{n}x") for n in range(2 * settings.UNBLOCK_TRIES)]
        send(stage.port("webhooks"), [json.dumps(event) for life in customers for event in life[:-1]])
        line.wait_for(lambda: not waiting(line), WORK_TIMEOUT_S, "all events are worked")
        line.sql("ANALYZE")
        recoveries = [(n, life[-1]) for n, life in enumerate(customers)]
        loaded = under_load(line, stage, recoveries[:settings.UNBLOCK_TRIES])
        behind = behind_backlog(line, stage, recoveries[settings.UNBLOCK_TRIES:])
        return {"under_load": loaded, "behind_backlog": behind, "faults": loaded.pop("faults")}


def past_due(name):
    """Events of one customer; the last one says that it is in order again."""
    stripe = Stripe()
    stripe.now = int(time.time()) - 40 * 86400
    customer = stripe.customer("u")
    subscription = stripe.subscribe(customer, [stripe.price("standard", id="price_standard")])
    stripe.change(subscription, status="past_due")
    stripe.now = int(time.time()) - 60
    stripe.change(subscription, status="active")
    return json.loads(json.dumps(stripe.events).replace("QQ", name))


def unblock(line, stage, number, event):
    """How many ms it took."""
    key = f"quota:{{uu{number}x}}"
    if line.client().hget(key, "status") not in ("grace", "blocked"):
        sys.exit(f"{key} is not blocked yet")
    began = time.monotonic()
    if post(stage, event)[0] != 200:
        sys.exit("a webhook was not stored")
    while line.client().hget(key, "status") != "active":
        if time.monotonic() - began > 60:
            sys.exit(f"{key} stays blocked")
        time.sleep(0.001)
    return (time.monotonic() - began) * 1000


def summary(took_ms):
    took_ms.sort()
    return {"tries": len(took_ms), "p50_ms": round(took_ms[len(took_ms) // 2], 1),
            "p99_ms": round(took_ms[int(0.99 * (len(took_ms) - 1))], 1), "max_ms": round(took_ms[-1], 1)}


def under_load(line, stage, recoveries):
    tell_load(f"unblocking at {settings.UNBLOCK_RATE} webhooks/s")
    port, stop, blocks = stage.port("webhooks"), threading.Event(), []

    def load():
        """Block after block of other customers' events, until all tries are made."""
        while not stop.is_set():
            bodies = webhook_events.make(settings.UNBLOCK_RATE, 1, f"l{len(blocks)}x")
            blocks.append(send(port, bodies, settings.UNBLOCK_RATE))

    sender, took_ms = threading.Thread(target=load), []
    sender.start()
    for number, event in recoveries:
        took_ms.append(unblock(line, stage, number, event))
        time.sleep(0.05)
    stop.set()
    sender.join()
    return {**summary(took_ms), "load_per_s": round(sum(b["events"] for b in blocks) / sum(b["seconds"] for b in blocks)),
            "faults": [fault for b in blocks for fault in b["faults"]]}


def waiting_now(line):
    return line.value("SELECT count(*) FROM webhook_events WHERE state = 'received'")


def behind_backlog(line, stage, recoveries):
    """Before each try so many wait, all of them older."""
    line.wait_for(lambda: not waiting(line), WORK_TIMEOUT_S, "all events are worked")
    tell_load(f"unblocking behind {settings.UNBLOCK_BACKLOG:,}")
    took_ms, stock, stocks = [], [], 0
    for number, event in recoveries:
        while (lacking := settings.UNBLOCK_BACKLOG - waiting_now(line)) > 0:
            if not stock:
                stocks += 1
                stock = webhook_events.make(settings.WEBHOOK_TENANTS, settings.WEBHOOK_CYCLES, f"b{stocks}x")
            store(line, stock[:lacking + 5000])
            del stock[:lacking + 5000]
        took_ms.append(unblock(line, stage, number, event))
    return summary(took_ms)


def store(line, bodies):
    events = [json.loads(body) for body in bodies]
    rows = [(event["id"], event["type"], event["data"]["object"].get("customer"), event["created"], body)
            for event, body in zip(events, bodies)]
    with line.postgres.connect() as connection, connection.cursor() as cursor:
        execute_values(cursor, """
            INSERT INTO webhook_events (event_id, type, customer_id, created_at, payload)
            SELECT id, type, customer, to_timestamp(created), payload FROM (VALUES %s) v (id, type, customer, created, payload)
            ON CONFLICT DO NOTHING""", rows, page_size=20_000)
    connection.close()


# Telling.

NAMES = {"store": "express, stripe, pg", "sync": "stripe-sync-engine"}


def tell(result):
    for title, part in ("stored", result["stored"]), ("stored and worked", result["worked"]):
        print(f"\n  {title:<24}{'events':>9}{'per s':>9}{'p50 ms':>9}{'p99 ms':>9}{'peak MiB':>10}{'CPU s':>8}"
              f"{'PostgreSQL CPU s':>18}")
        for name, one in ((name, one) for both in part["rounds"] for name, one in both.items()):
            print(f"  {NAMES.get(name, name):<24}{one['events']:>9,}{one['per_s']:>9,}{one['p50_ms']:>9.1f}{one['p99_ms']:>9.1f}"
                  f"{one['peak_mib']:>10.0f}{one['cpu_s']:>8.1f}{one['postgres_cpu_s']:>18.1f}")
    for name, part in result["unblocking"].items():
        if name != "faults":
            at = f" (at {part['load_per_s']:,}/s)" if "load_per_s" in part else ""
            print(f"  unblocked {name.replace('_', ' '):<16} p50 {part['p50_ms']:>7.1f} ms, p99 {part['p99_ms']:>7.1f} ms, "
                  f"at most {part['max_ms']:>7.1f} ms, of {part['tries']} tries{at}")
    for fault in result["faults"]:
        print(f"  WRONG: {fault}")
