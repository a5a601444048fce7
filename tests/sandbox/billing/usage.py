"""How much of a metered item was used in a period: by its meter, or by usage records."""
from .. import usage_records
from ..usage import aggregate


def used(world, sub, item, start, end):
    """A whole number; what was used in a trial is not billed."""
    if sub["trial_end"] and start < sub["trial_end"]:
        return 0
    recurring = item["price"]["recurring"]
    if recurring["meter"] is None:
        kept = {at: quantity for at, quantity in world.usage_records.get(item["id"], {}).items()
                if at < end and (at >= start or recurring["aggregate_usage"] == "last_ever")}
        return usage_records.total(kept, recurring["aggregate_usage"])
    meter = world.of("billing.meter").get(recurring["meter"])
    bucket = world.usage.buckets.get((sub["customer"], meter["event_name"]))
    return aggregate(bucket.between(start, end), meter) if bucket else 0
