"""What the stages write beside the figures themselves, for ledgers that a test makes by hand: identifiers and bodies of
submissions."""

import hashlib
import struct
import urllib.parse


def identifier(customer, event_name, tenant, metric, period_start_s, claim, era=0):
    parts = b"".join(struct.pack(">I", len(text.encode())) + text.encode()
                     for text in (customer, event_name, tenant, metric))
    parts += struct.pack(">qq", period_start_s, claim) + (struct.pack(">q", era) if era else b"")
    return "ml-" + hashlib.blake2b(parts, digest_size=32).hexdigest()


def meter_event_body(event_name, customer, value, identifier, usage_at_s):
    quote = urllib.parse.quote
    return (f"event_name={quote(event_name)}&payload[stripe_customer_id]={quote(customer)}&payload[value]={value}"
            f"&identifier={identifier}&timestamp={usage_at_s}")


def make_true(line):
    """Submissions that a test made up get the identifiers and bodies that the sink would have given them, and those that
    are sent a time."""
    rows = line.sql("""SELECT ctid, *, extract(epoch FROM period_start)::bigint AS start_s,
                              extract(epoch FROM usage_at)::bigint AS at_s FROM usage_submissions""")
    for row in rows:
        own = identifier(row.stripe_customer_id, row.event_name, row.tenant, row.metric, row.start_s, row.claim)
        line.sql("UPDATE usage_submissions SET identifier = %s, body = %s, sent_at = CASE state WHEN 'sent' THEN now() END "
                 "WHERE ctid = %s", own,
                 meter_event_body(row.event_name, row.stripe_customer_id, int(row.quantity), own, row.at_s), row.ctid)
