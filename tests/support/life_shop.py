"""A running webhookd, and a small Stripe that tells it of one customer."""

import json

from support.life_stripe import DAY, MARK, Stripe
from support.webhooks import NOW, deliver

NAME = "L1o1x"
TENANT = "acme" + NAME


class Shop:
    """A customer with a subscription, of whom events are told."""

    def __init__(self, line, version, **settings):
        self.line, self.stripe = line, Stripe(version, NOW - DAY)
        self.customer = self.stripe.customer("acme")
        self.sub = self.new_subscription()
        self.stage = line.start_webhookd(**settings).wait_ready()
        for event in self.stripe.events:
            self.send(event)
            self.state(event)

    def new_subscription(self):
        price = self.stripe.price("standard")
        return self.stripe.subscribe(self.customer, [price])

    def send(self, event):
        deliver(self.stage, json.loads(json.dumps(event).replace(MARK, NAME)))

    def tell(self, kind, obj, **fields):
        """The event alone, as if no other of the object had come."""
        before = dict(obj)
        obj.update(fields)
        first = kind.endswith(".created") or not fields
        self.stripe.emit(kind, obj, None if first else before)
        self.send(self.stripe.events[-1])
        return self.state(self.stripe.events[-1])

    def state(self, event):
        event = event["id"].replace(MARK, NAME)
        row = self.line.wait_for(lambda: self.line.sql(
            "SELECT state, error FROM webhook_events WHERE event_id = %s AND state <> 'received'", event), 30, "worked")[0]
        return row.state, row.error

    def stored(self, table, key, id):
        rows = self.line.sql(f"SELECT * FROM {table} WHERE {key} = %s AND tenant = %s", id.replace(MARK, NAME), TENANT)
        return rows[0]._asdict() if rows else None

    def kinds(self):
        return {row.kind for row in self.line.sql("SELECT kind FROM billing_history WHERE tenant = %s", TENANT)}
