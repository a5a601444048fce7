"""In which order webhookd works: what unblocks a customer first, the events of one customer one after the other, those of
different customers side by side."""

import json

import pytest
from psycopg2.extras import execute_values

from support.webhooks import Events, NOW, customer, deliver


@pytest.fixture
def events():
    return Events()


def store(line, made):
    """As if they had come one after the other while no worker was there. made: [(event, priority)]."""
    rows = [(event["id"], event["type"], event["data"]["object"]["id"],
             event["data"]["object"].get("customer", event["data"]["object"]["id"]), priority, event["created"],
             json.dumps(event), place) for place, (event, priority) in enumerate(made)]
    with line.postgres.connect() as connection, connection.cursor() as cursor:
        execute_values(cursor, """
            INSERT INTO webhook_events (event_id, type, object_id, customer_id, priority, created_at, payload, next_attempt_at)
            SELECT id, type, object, customer, priority, to_timestamp(created), payload,
                   now() - interval '1 hour' + place * interval '1 ms'
              FROM (VALUES %s) v (id, type, object, customer, priority, created, payload, place)""", rows, page_size=5000)
    connection.close()


def wait_worked(line, timeout=60):
    line.wait_for(lambda: line.value("SELECT count(*) FROM webhook_events WHERE state = 'received'") == 0, timeout)
    assert line.value("SELECT count(*) FROM webhook_events WHERE state <> 'processed'") == 0


def subscription(status, **more):
    price = {"id": "price_1", "object": "price", "lookup_key": "standard", "product": "prod_1", "metadata": {},
             "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"}}
    item = {"id": "si_1", "object": "subscription_item", "price": price, "quantity": 1, "metadata": {},
            "current_period_start": NOW - 86400, "current_period_end": NOW + 29 * 86400}
    return {"id": "sub_1", "object": "subscription", "customer": "cus_payer", "status": status, "currency": "usd",
            "start_date": NOW - 86400, "billing_cycle_anchor": NOW - 86400, "cancel_at_period_end": False,
            "ended_at": None, "items": {"object": "list", "data": [item]}, "metadata": {}, **more}


def test_what_unblocks_a_customer_is_worked_before_a_backlog(line, events):
    """With what else waits of that customer, in its order."""
    backlog = [(events.make("customer.created", customer(f"cus_{n}", f"t{n}")), 2) for n in range(1000)]
    own = [(events.make("customer.created", customer("cus_payer", "payer"), NOW - 9), 2),
           (events.make("customer.subscription.created", subscription("past_due"), NOW - 8), 2),
           (events.make("customer.subscription.updated", subscription("active"), NOW, {"status": "past_due"}), 0)]
    store(line, backlog + own)
    line.start_webhookd(STRIPE_SECRET_KEY=None, WEBHOOKD_WORKERS="1").wait_ready()
    wait_worked(line)
    worked = line.sql("SELECT customer_id FROM webhook_events"
                      " WHERE processed_at = (SELECT min(processed_at) FROM webhook_events)")
    assert [row.customer_id for row in worked].count("cus_payer") == 3 and len(worked) > 3
    assert line.client().hget("quota:{payer}", "status") == "active"


def test_others_are_worked_though_ever_more_unblock(line, events):
    """A quarter of each batch is for those that have waited longest."""
    waits = [(events.make("customer.created", customer(f"cus_{n}", f"t{n}")), 2) for n in range(40)]
    urgent = [(events.make("customer.updated", customer(f"cus_x{n}", f"x{n}")), 1) for n in range(400)]
    store(line, waits + urgent)
    line.start_webhookd(STRIPE_SECRET_KEY=None, WEBHOOKD_WORKERS="1").wait_ready()
    wait_worked(line)
    last = {row.priority: row.at for row in line.sql(
        "SELECT priority, max(processed_at) AS at FROM webhook_events GROUP BY priority")}
    assert last[2] < last[1]


def test_without_workers_it_stores_only_and_another_one_works(line, events):
    stage = line.start_webhookd(STRIPE_SECRET_KEY=None, WEBHOOKD_WORKERS="0").wait_ready()
    deliver(stage, events.make("customer.created", customer()))
    assert line.value("SELECT state FROM webhook_events") == "received"
    line.start_webhookd(STRIPE_SECRET_KEY=None, WEBHOOKD_WORKERS="1").wait_ready()
    wait_worked(line)
    assert line.value("SELECT state FROM webhook_events") == "processed"


def test_the_receiver_knows_whose_an_event_is_and_whether_it_unblocks(line, events):
    stage = line.start_webhookd(STRIPE_SECRET_KEY=None).wait_ready()
    deliver(stage, events.make("customer.created", customer()))
    deliver(stage, events.make("customer.subscription.updated", subscription("active"), NOW, {"status": "unpaid"}))
    deliver(stage, events.make("refund.created", {"id": "re_1", "object": "refund"}))
    assert [tuple(row) for row in line.sql("SELECT customer_id, priority FROM webhook_events ORDER BY event_id")] == [
        ("cus_1", 2), ("cus_payer", 0), (None, 2)]


def test_one_customers_events_are_worked_in_order_and_different_ones_side_by_side(line, events):
    """By two webhookds with four workers each."""
    made = [(events.make("customer.updated", customer(f"cus_{n % 40}", f"t{n % 40}", f"{n}@x.test"), NOW + n), 2)
            for n in range(1600)]
    store(line, made)
    stages = [line.start_webhookd(STRIPE_SECRET_KEY=None, WEBHOOKD_WORKERS="4") for _ in range(2)]
    wait_worked(line, 120)
    assert line.value("""
        SELECT count(*) FROM (SELECT occurred_at < lag(occurred_at) OVER (PARTITION BY object_id ORDER BY history_id) AS late
                                FROM billing_history) x WHERE late""") == 0
    assert line.value("SELECT count(*) FROM billing_history") == 1600
    assert all(stage.logs("webhook_processed") for stage in stages)


def test_a_backlog_is_not_gone_through_for_each_batch(line, events):
    """Although PostgreSQL looked at the table when nothing waited, and so expects next to nothing to wait."""
    def read_rows():
        return line.value("SELECT coalesce(idx_tup_fetch, 0) + coalesce(seq_tup_read, 0) FROM pg_stat_user_tables"
                          " WHERE relname = 'webhook_events'")

    line.sql("ALTER TABLE webhook_events SET (autovacuum_enabled = off)")
    line.sql("INSERT INTO webhook_events (event_id, type, state, created_at, payload)"
             " SELECT 'evt_old_' || n, 'customer.created', 'processed', now(), '{}' FROM generate_series(1, 3000) n")
    line.sql("ANALYZE webhook_events")
    made = [(events.make("customer.created", customer(f"cus_{n}", f"t{n}")), 1 + n % 2) for n in range(1500)]
    store(line, made)
    before = read_rows()
    stage = line.start_webhookd(STRIPE_SECRET_KEY=None, WEBHOOKD_WORKERS="1").wait_ready()
    wait_worked(line)
    stage.term()
    assert line.wait_for(lambda: (now := read_rows()) > before and now) - before < 40 * len(made)
