"""Messages into the outbox, and what became of them."""

import json


def add_message(line, kind, key, tenant, data):
    """As a stage adds it; False if it is there already."""
    return line.value("SELECT add_message(%s, %s, %s, %s, now())", kind, key, tenant, json.dumps(data))


def add_messages(line, n, first=1, tenant="acme", channel="signal", destination=""):
    """n rows with ids in their order, msg_000…1 and so on, each a moment after the one before."""
    line.sql("INSERT INTO outgoing_messages (message_id, channel, tenant, kind, destination, data, occurred_at) "
             "SELECT 'msg_' || lpad(n::text, 32, '0'), %s, %s, 'milestone', %s, jsonb_build_object('n', n), "
             "now() + n * interval '1 ms' FROM generate_series(%s::int, %s::int) n",
             channel, tenant, destination, first, first + n - 1)
    line.sql("NOTIFY meterline_messages")


def states(line, channel=None):
    """{state: messages}"""
    return dict(line.sql("SELECT state, count(*)::int FROM outgoing_messages WHERE %s IN ('', channel) GROUP BY 1",
                         channel or ""))
