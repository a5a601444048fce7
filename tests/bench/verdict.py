"""The table at the end: what was measured, beside its target."""

from . import settings


def tell(report):
    rows = [row for result in report["scenarios"] for row in scenario_rows(result)]
    if "lag" in report:
        rows.append(("XADD to quota cache, p99, ms", report["lag"]["p99_ms"], "<",
                     settings.LAG_P99_MS_MAX))
    rows += sink_rows(report["sink"]) if "sink" in report else []
    rows += emit_rows(report["emit"]) if "emit" in report else []
    rows += webhook_rows(report["webhooks"]) if "webhooks" in report else []
    rows += read_rows(report["api"]) if "api" in report else []
    print(f"\n{'':<50}{'measured':>10}{'target':>11}")
    for what, measured, relation, target in rows:
        print(f"{what:<50}{measured:>10,.10g}{relation:>4}{target:>7,}  "
              f"{'met' if is_met(measured, relation, target) else 'MISSED'}")
    print(f"\nresults and plots: {settings.OUT}", flush=True)


def scenario_rows(result):
    who = f"{result['tenants']:,} tenants, {result['repeats_percent']} %: "
    aggregator = result["aggregator"]
    ratio_min = settings.RATIO_MIN.get(result["tenants"])
    if ratio_min is not None:
        yield who + "of the floor", result["ratio"], ">=", ratio_min
    yield who + "times the peer", result["times_peer"], ">=", settings.PEER_TIMES_MIN
    yield who + "bytes an event", result["bytes_per_event"], "<=", settings.BYTES_PER_EVENT_MAX
    yield who + "MiB beside the table", aggregator["beside_table_mib"], "<", \
        settings.MIB_BESIDE_TABLE_MAX
    yield who + "bytes a key", aggregator["dedupe_bytes_per_key"], "<=", settings.BYTES_PER_KEY_MAX


def sink_rows(result):
    claim, events, stream = (result[part] for part in ("claim", "meter_events", "stream"))
    return [
        ("a million totals claimed, s", claim["seconds"] * 1e6 / claim["totals"], "<", settings.CLAIM_S_MAX),
        ("meter events/s sent", events["per_s"], ">=", settings.METER_EVENTS_PER_S_MIN),
        ("stream: events/s claimed and sent", stream["whole_per_s"], ">=", settings.STREAM_PER_S_MIN),
        ("sink's peak, MiB", max(part["peak_mib"] for part in result.values()), "<", settings.SINK_MIB_MAX)]


def emit_rows(result):
    return [("libmeterline, of redis-benchmark", result["ratio"], ">=", settings.EMIT_RATIO_MIN),
            ("emit with 4 threads, median, ns", result["median_ns"], "<", settings.EMIT_MEDIAN_NS_MAX),
            ("emit with 4 threads, 99.9th percentile, ns", result["p999_ns"], "<", settings.EMIT_P999_NS_MAX),
            ("events/s by HTTP, in batches", result["door"]["events_per_s"], ">=", settings.DOOR_EVENTS_PER_S_MIN),
            ("checks of quotas, of libmicrohttpd alone", result["door"]["checks_per_s"] / result["door"]["bare_per_s"], ">=",
             settings.CHECK_RATIO_MIN),
            ("checks of quotas, p99, ms", result["door"]["check_p99_ms"], "<", settings.CHECK_P99_MS_MAX)]


def read_rows(result):
    for what in ("usage", "quotas"):
        each = result[what]
        yield f"reads of {what}, of libmicrohttpd alone", each["ratio"], ">=", settings.READ_RATIO_MIN
        yield f"reads of {what}, p99, ms", each["p99_ms"], "<", settings.READ_P99_MS_MAX
        if each["times_peer"]:
            yield f"reads of {what}, times express and pg", each["times_peer"], ">=", settings.READ_TIMES_PEER_MIN
    yield "the API's memory, MiB", result["peak_mib"], "<", settings.API_MIB_MAX


def webhook_rows(result):
    unblocking = result["unblocking"]
    for title, part in ("stored, times express and pg", result["stored"]), ("worked, times stripe-sync-engine", result["worked"]):
        if part["times_peer"] is not None:
            yield f"webhooks {title}", part["times_peer"], ">=", settings.WEBHOOK_TIMES_PEER_MIN
    worked = [both["webhookd"] for both in result["worked"]["rounds"]]
    yield "webhooks/s stored and worked", max(one["per_s"] for one in worked), ">=", settings.WEBHOOK_WORKED_PER_S_MIN
    yield "webhookd's peak, MiB", max(one["peak_mib"] for one in worked), "<", settings.WEBHOOK_MIB_MAX
    yield "unblocked under load, p99, ms", unblocking["under_load"]["p99_ms"], "<", settings.UNBLOCK_P99_MS_MAX
    yield "unblocked behind a backlog, p99, ms", unblocking["behind_backlog"]["p99_ms"], "<", settings.UNBLOCK_P99_MS_MAX


def is_met(measured, relation, target):
    return {">=": measured >= target, "<=": measured <= target, "<": measured < target}[relation]
