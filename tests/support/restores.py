"""Restoring PostgreSQL, or both servers, from a backup, and looking at what is billed afterwards."""

import uuid

from support.aggregator import start
from support.lossy_servers import base_backup, held, restore, set_back, snapshot
from support.sink_shop import add_tenants, once


def emit(line, first, count):
    line.emit([{"tenant": "a", "metric": "api_calls", "id": f"call {n}"} for n in range(first, first + count)])


def wait_counted(line, count):
    line.wait_for(lambda: line.value("SELECT sum(quantity) FROM usage_totals") == count, 60,
                  f"{count} are counted")


def at_stripe(line):
    return sum(int(row["value"]) for row in line.sandbox.totals())


def bill(line):
    line.must("meterline-sink", "--once")


def bill_150_and_set_both_back_to_100(line, ago):
    """ago: how long before the restore sinks had last found the ledger complete."""
    aggregator = start(line)
    emit(line, 0, 100)
    wait_counted(line, 100)
    bill(line)
    line.sql("UPDATE ledger_identity SET alive_at = alive_at - %s::interval", ago)
    aggregator.term()
    copies = snapshot(line)
    line.sql("UPDATE ledger_identity SET alive_at = now()")
    aggregator = start(line)
    emit(line, 100, 50)
    wait_counted(line, 150)
    bill(line)
    assert at_stripe(line) == 150
    aggregator.term()
    set_back(line, copies)


def send_again(line):
    """Services send again what was lost, and 20 more."""
    start(line)
    emit(line, 100, 70)
    wait_counted(line, 170)


def not_compared(line):
    return line.value("SELECT coalesce(sum(quantity), 0)::bigint FROM usage_unbilled WHERE reason = 'not_compared'")


def later(line):
    """As if an hour had passed since the restore and 20 minutes since the last call: only then are Stripe's figures used."""
    line.sql("UPDATE ledger_restores SET restored_at = restored_at - interval '1 hour'")
    line.sql("UPDATE usage_submissions SET sent_at = sent_at - interval '20 minutes'")


def restored(line, backup):
    restore(line, backup)
    line.run("meterline-sink", "--once")
    assert held(line)


def accept_all(line):
    told = line.must("meterctl", "restore", "accept", "--yes", timeout=120).stdout
    assert not held(line)
    return told


def find_again(line, tenant):
    """Give the tenant its customer again, as webhookd does from Stripe's list of customers."""
    line.sql("INSERT INTO billing_customers (tenant, stripe_customer_id) VALUES (%s, %s)",
             tenant, line.tenants[tenant])


def use(line, units, *tenants, metric="api_calls"):
    """Each tenant uses so many units more, which are counted."""
    for tenant in tenants:
        line.xadd(tenant=tenant, metric=metric, id=str(uuid.uuid4()), quantity=units)
    line.must("aggregator", "--once")


def restored_without_coral(line):
    """acme was billed 10. coral came after the backup and was billed 100, of which the backup knows nothing."""
    add_tenants(line, "acme")
    use(line, 10, "acme")
    use(line, 100, "coral")
    once(line)
    backup = base_backup(line)
    add_tenants(line, "coral")
    once(line)
    assert at_stripe(line) == 110
    restored(line, backup)
