"""The state of the whole line at one moment, from the places where anybody can read it."""

import dataclasses

from line.line import STREAM


@dataclasses.dataclass
class State:
    added: int = 0        # entries ever added to the stream
    queue: int = 0        # of them, not yet counted
    counted: int = 0
    duplicates: int = 0
    rejected: int = 0
    minutes: int = 0      # rows of usage_aggregates
    waiting: int = 0      # submissions that are not sent yet
    sent: int = 0
    troubled: int = 0     # submissions in any other state
    stripe_records: int = 0
    stripe_units: int = 0

    def rows(self):
        return [
            ("added to the stream", f"{self.added:,}", "entries in Redis so far"),
            ("queue", f"{self.queue:,}", "entries waiting in Redis to be counted"),
            ("counted", f"{self.counted:,}", "events in PostgreSQL, each exactly once"),
            ("repeats", f"{self.duplicates:,}", "the same event sent again: known, not counted"),
            ("rejected", f"{self.rejected:,}", "invalid: kept with the reason, not counted"),
            ("minute rows", f"{self.minutes:,}", "usage by tenant, metric and minute"),
            ("to Stripe, waiting", f"{self.waiting + self.troubled:,}",
             "claimed, not confirmed yet"),
            ("to Stripe, sent", f"{self.sent:,}", "confirmed by Stripe, one record each"),
            ("Stripe holds", f"{self.stripe_units:,}",
             f"units, in {self.stripe_records:,} records"),
        ]

    def short(self):
        return (f"queue {self.queue:,} | counted {self.counted:,}, repeats {self.duplicates:,}, "
                f"rejected {self.rejected:,} | minute rows {self.minutes:,} | to Stripe: "
                f"{self.waiting + self.troubled:,} waiting, {self.sent:,} sent | Stripe holds "
                f"{self.stripe_units:,} units")


class Reader:
    """Reads what has changed since it was made: given servers may hold earlier runs."""

    def __init__(self, line, tenants):
        self.line = line
        self.tenants = tenants
        self.base = self.stream_counts()
        self.last_reject = line.value("SELECT coalesce(max(rejected_id), 0) FROM rejected_events")

    def read(self):
        counts = [now - then for now, then in zip(self.stream_counts(), self.base)]
        state = State(*counts[:1], self.line.client().xlen(STREAM), *counts[1:])
        state.minutes = self.line.value(
            "SELECT count(*) FROM usage_aggregates WHERE tenant = ANY(%s)", self.tenants)
        for row in self.line.sql("SELECT state, count(*) AS n FROM usage_submissions "
                                 "WHERE tenant = ANY(%s) GROUP BY state", self.tenants):
            if row.state == "sent":
                state.sent += row.n
            elif row.state in ("pending", "sending", "held"):
                state.waiting += row.n
            else:
                state.troubled += row.n
        totals = self.line.sandbox.totals()
        state.stripe_records = sum(row["events"] for row in totals)
        state.stripe_units = sum(int(row["value"]) for row in totals)
        return state

    def stream_counts(self):
        """[added, counted, duplicates, rejected and conflicts]"""
        client = self.line.client()
        added = client.xinfo_stream(STREAM)["entries-added"] if client.exists(STREAM) else 0
        row = self.line.sql(
            "SELECT coalesce(sum(counted), 0)::bigint AS counted, "
            "coalesce(sum(duplicates), 0)::bigint AS duplicates, "
            "coalesce(sum(rejected + conflicts), 0)::bigint AS rejected "
            "FROM stream_positions WHERE stream = %s", STREAM)[0]
        return [added, *row]
