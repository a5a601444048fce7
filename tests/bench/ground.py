"""The ground that a run stands on: a line with private, durable servers, and a filled stream."""

import contextlib
import dataclasses
import decimal
import os
import pathlib
import sys
import time

from line import Line, Postgres, Redis, process
from line.claim import claim_folder
from line.line import STREAM

from . import settings

CATALOG = pathlib.Path(__file__).with_name("catalog.json")


@contextlib.contextmanager
def open_line(name):
    folder, claim = claim_folder(settings.OUT / "runs", name)
    line = Line(folder, Redis(folder, **settings.REDIS), Postgres(folder, **settings.POSTGRES))
    try:
        line.start_servers()
        line.migrate()
        line.catalog(CATALOG)
        yield line
    finally:
        line.close()
        claim.release()


@dataclasses.dataclass
class Emitted:
    """What went into the stream, and what the ledger must come to."""

    entries: int
    different: int
    totals: dict  # {(tenant, metric): quantity}
    seconds: float

    @property
    def per_s(self):
        return self.entries / self.seconds


def fill(line, entries, tenants, repeats_percent):
    began = time.monotonic()
    text = run_tool(line, "fill", entries, tenants, settings.MINUTES, repeats_percent,
                    settings.REPEATS_WITHIN or entries)
    return read_emitted(text, entries, time.monotonic() - began)


def limit_all(line, emitted, window):
    """Give every tenant a limit of each metric that adds up, which counts over this window."""
    if window == "period":
        return
    line.sql("INSERT INTO plans (plan, display_name, currency, base_amount_minor) VALUES ('free', 'Free', 'usd', 0)")
    line.sql("INSERT INTO plan_limits (plan, metric, included, cap, limit_window, currency) "
             "SELECT 'free', metric, 1000, 'hard', %s, 'usd' FROM metrics WHERE aggregation = 'sum'", window)
    line.sql("SELECT refresh_usage_quotas(tenant) FROM unnest(%s) tenant", sorted({tenant for tenant, _ in emitted.totals}))


def run_tool(line, name, *args):
    """One of the C programs beside this file, on the line's stream: what it printed."""
    done = process.run([settings.TOOLS / name, "127.0.0.1", line.redis.port, STREAM, *args],
                       timeout=None)
    if done.returncode != 0:
        sys.exit(f"{name} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def read_emitted(text, entries, seconds):
    first, *rest = [row.split() for row in text.splitlines()]
    totals = {(tenant, metric): decimal.Decimal(quantity) for tenant, metric, quantity in rest}
    return Emitted(entries, int(first[1]), totals, seconds)


def tell_load(what):
    """What else runs on the machine shows in every figure: said before each of them."""
    print(f"  {what} (load {os.getloadavg()[0]:.1f})", flush=True)
