"""What is metered: sums with corrections, and a value of which the newest counts."""

SUMS = ["calls", "tokens", "runs", "bytes", "minutes", "pages", "images", "queries"]
LAST = "seats"
FORMULAS = {**dict.fromkeys(SUMS, "sum"), LAST: "last"}


def catalog(transport, names):
    return {"plans": [], "metrics": [
        {"metric": name, "name": name, "unit": "unit", "aggregation": FORMULAS[name],
         "stripe_event_name": name, "transport": transport} for name in names]}
