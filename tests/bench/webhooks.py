"""webhookd: signed webhooks stored durably and worked, beside peers on Node; and how soon a customer who has paid goes on."""

import contextlib
import json
import pathlib
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
    print(f"\nwebhooks: {settings.WEBHOOK_TENANTS:,} tenants, {settings.WEBHOOK_CONNECTIONS} connections", flush=True)
    made = webhook_events.make(settings.WEBHOOK_TENANTS, settings.WEBHOOK_CYCLES)
    result = {"webhookd": measure_webhookd(made)}
    result["peers"] = measure_peers(made[:settings.WEBHOOK_PEER_EVENTS])
    result["unblocking"] = measure_unblocking()
    result["faults"] = [fault for part in (result["webhookd"], *result["peers"].values(), result["unblocking"])
                        for fault in part["faults"]]
    return result


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


def measure_webhookd(bodies):
    with open_line("webhookd") as line:
        line.catalog(CATALOG)
        stage = line.start_webhookd(STRIPE_SECRET_KEY=None).wait_ready()
        tell_load("webhookd")
        before, began = (cpu_s(stage.pid), postgres_cpu_s(line)), time.monotonic()
        result = send(stage.port("webhooks"), bodies)
        line.wait_for(lambda: not waiting(line), WORK_TIMEOUT_S, "all events are worked")
        result["worked_per_s"] = round(len(bodies) / (time.monotonic() - began))
        result["cpu_s"] = round(cpu_s(stage.pid) - before[0], 2)
        result["postgres_cpu_s"] = round(postgres_cpu_s(line) - before[1], 2)
        result["peak_mib"] = round(high_water_kib(stage.pid) / 1024, 1)
        result["faults"] += find_wrong(line, bodies)
        return result


def waiting(line):
    return line.value("SELECT count(*) FROM (SELECT FROM webhook_events WHERE state = 'received' LIMIT 1) x")


def find_wrong(line, bodies):
    faults = []
    expected = {
        "webhook_events WHERE state = 'processed'": len(bodies), "billing_history": len(bodies),
        "subscriptions WHERE status = 'active'": settings.WEBHOOK_TENANTS,
        "invoices WHERE status = 'paid'": settings.WEBHOOK_TENANTS * settings.WEBHOOK_CYCLES,
        "payments WHERE status = 'succeeded'": settings.WEBHOOK_TENANTS * settings.WEBHOOK_CYCLES}
    for what, count in expected.items():
        found = line.value(f"SELECT count(*) FROM {what}")
        if found != count:
            faults.append(f"{found} of {count} {what}")
    return faults


# The peers.

def measure_peers(bodies):
    if not bodies:
        return {}
    try:
        folder = npm.folder(BUILD / "node_bench", PACKAGES)
    except npm.Missing as why:
        print(f"  no peers on Node: {why}", flush=True)
        return {}
    return {name: measure_peer(folder, name, bodies) for name in ("store", "sync")}


def measure_peer(folder, name, bodies):
    with open_line(f"peer_{name}") as line:
        line.sql("CREATE DATABASE peer")
        url = line.postgres.url_of("postgres", "peer")
        with open_peer(folder, name, url) as (child, port):
            tell_load(f"peer: {name}")
            result = send(port, bodies)
            result["peak_mib"] = round(high_water_kib(child.pid) / 1024, 1)
        with line.postgres.connect(url) as connection, connection.cursor() as cursor:
            for what, count in {"store": {"webhook_events": len(bodies)},
                                "sync": {"stripe.customers": min(len(bodies), settings.WEBHOOK_TENANTS)}}[name].items():
                cursor.execute(f"SELECT count(*) FROM {what}")
                found = cursor.fetchone()[0]
                if found != count:
                    result["faults"].append(f"{name}: {found} of {count} {what}")
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

NAMES = {"store": "express, stripe, pg: stored only", "sync": "stripe-sync-engine"}


def times_peer(result):
    best = max((peer["per_s"] for peer in result["peers"].values()), default=0)
    return round(result["webhookd"]["per_s"] / best, 2) if best else None


def tell(result):
    own = result["webhookd"]
    print(f"\n  {'':<36}{'events':>9}{'stored/s':>10}{'p50 ms':>9}{'p99 ms':>9}{'worked/s':>10}{'peak MiB':>10}")
    print(f"  {'webhookd':<36}{own['events']:>9,}{own['per_s']:>10,}{own['p50_ms']:>9.1f}{own['p99_ms']:>9.1f}"
          f"{own['worked_per_s']:>10,}{own['peak_mib']:>10.0f}")
    for name, peer in result["peers"].items():
        worked = f"{peer['per_s']:,}" if name == "sync" else "-"
        print(f"  {NAMES[name]:<36}{peer['events']:>9,}{peer['per_s']:>10,}{peer['p50_ms']:>9.1f}{peer['p99_ms']:>9.1f}"
              f"{worked:>10}{peer['peak_mib']:>10.0f}")
    print(f"  CPU {own['cpu_s']:.1f} s, PostgreSQL's {own['postgres_cpu_s']:.1f} s")
    for name, part in result["unblocking"].items():
        if name != "faults":
            at = f" (at {part['load_per_s']:,}/s)" if "load_per_s" in part else ""
            print(f"  unblocked {name.replace('_', ' '):<16} p50 {part['p50_ms']:>7.1f} ms, p99 {part['p99_ms']:>7.1f} ms, "
                  f"at most {part['max_ms']:>7.1f} ms, of {part['tries']} tries{at}")
    for fault in result["faults"]:
        print(f"  WRONG: {fault}")
