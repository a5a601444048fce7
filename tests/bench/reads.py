"""The API's reads by wrk, of usage and of quotas, beside libmicrohttpd alone and a peer on Node in the same run."""

import contextlib
import subprocess

from line import npm, process
from line.paths import BUILD

from . import settings
from .doors import limit_all, start_bare, wrk
from .ground import open_line, tell_load
from .webhooks import PEERS

PACKAGES = {"express": "express@5.1.0", "pg": "pg@8.16.3"}
PATHS = {"usage": "/api/billing/usage", "quotas": "/api/billing/quotas"}
ASK = """
local n = 0
request = function()
  n = (n + 7) %% %d
  return wrk.format("GET", "%s", {["Authorization"] = "Bearer %s", ["X-Tenant-Id"] = "tenant-" .. n})
end
"""
# As the aggregator leaves it: a total a metric.
FILL = """INSERT INTO usage_totals (tenant, metric, period_start, period_end, quantity, version, last_ms, last_entry)
          SELECT 'tenant-' || n, m.metric, b.period_start, b.period_end, n * 1.5, n, 0, ''
            FROM generate_series(0, %s - 1) n CROSS JOIN metrics m CROSS JOIN billing_period('none', now()) b"""


def run():
    print(f"\napi: reads by {settings.API_CONNECTIONS} connections, of {settings.DOOR_TENANTS:,} tenants", flush=True)
    with open_line("api") as line:
        line.sql(FILL, settings.DOOR_TENANTS)
        line.sql("ANALYZE")
        limit_all(line)
        key = line.must("meterctl", "keys", "create", "bench", "--role", "viewer").stdout.strip()
        api = line.start_api(API_RATE_PER_S=1_000_000, STRIPE_SECRET_KEY=None).wait_ready()
        tell_load("reading")
        found = {what: {"bare": [], "api": [], "peer": []} for what in PATHS}
        with start_bare() as bare, open_peer(line, key) as peer:
            # In turn, since the machine is not always the same: the best of each.
            for _ in range(settings.EMIT_ROUNDS):
                for what, path in PATHS.items():
                    script = ASK % (settings.DOOR_TENANTS, path, key)
                    for who, port in ("bare", bare), ("api", api.port("api")), ("peer", peer):
                        if port:
                            found[what][who].append(wrk(line, port, script, settings.API_CONNECTIONS, may_time_out=who == "peer"))
        return {**{what: summary(each) for what, each in found.items()},
                "peak_mib": float(api.metric("meterline_memory_bytes")) / 2**20, "faults": []}


def summary(found):
    best = max(found["api"], key=lambda one: one["per_s"])
    bare = max(one["per_s"] for one in found["bare"])
    peer = max((one["per_s"] for one in found["peer"]), default=None)
    return {"per_s": best["per_s"], "p99_ms": best["p99_ms"], "bare_per_s": bare, "ratio": best["per_s"] / bare,
            "peer_per_s": peer, "times_peer": best["per_s"] / peer if peer else None}


@contextlib.contextmanager
def open_peer(line, key):
    """The port, or None where Node or its packages are not to be had."""
    try:
        folder = npm.folder(BUILD / "node_api", PACKAGES)
    except npm.Missing as why:
        print(f"  no peer on Node: {why}", flush=True)
        yield None
        return
    child = process.spawn(["node", PEERS / "reads.cjs", folder, line.postgres.url, key], env={"NODE_ENV": "production"},
                          stdout=subprocess.PIPE, text=True)
    try:
        yield int(child.stdout.readline())
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def tell(result):
    for what in PATHS:
        each = result[what]
        peer = f"express and pg: {each['peer_per_s']:,.0f}/s, {each['times_peer']:.1f} times" if each["peer_per_s"] else "no peer"
        print(f"  {what}: {each['per_s']:,.0f}/s, p99 {each['p99_ms']:.1f} ms; libmicrohttpd alone: {each['bare_per_s']:,.0f}/s, "
              f"ratio {each['ratio']:.2f}; {peer}")
    print(f"  the API's memory: {result['peak_mib']:.0f} MiB")
