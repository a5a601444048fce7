/* Every log event that a stage has, each once: its name, which stages write it, and what it tells.
 * docs/logs.md is made of it (`make docs`). */
#ifndef METERLINE_LOG_EVENTS_H
#define METERLINE_LOG_EVENTS_H

/* X(event, stages, meaning): a past tense; "all" or names with a space between; what happened, and
 * what to do where a person has to. */
/* clang-format off */
#define LOG_EVENT_TABLE(X) \
    X(clock_differed, "all", "") \
    X(close_stuck, "all", "") \
    X(drain_cut, "all", "") \
    X(draining, "all", "") \
    X(gave_up, "all", "") \
    X(heartbeat_failed, "all", "") \
    X(listening, "all", "") \
    X(notice_received, "all", "") \
    X(peer_back, "all", "") \
    X(peer_lost, "all", "") \
    X(rate_lowered, "all", "") \
    X(redis_redirected, "all", "") \
    X(setting_changed, "all", "") \
    X(setting_kept, "all", "") \
    X(setting_refused, "all", "") \
    X(settings_read_again, "all", "") \
    X(start_failed, "all", "") \
    X(started, "all", "") \
    X(state_changed, "all", "") \
    X(stopped, "all", "") \
    X(balance_broken, "aggregator", "") \
    X(batch_committed, "aggregator", "") \
    X(batch_fenced, "aggregator", "") \
    X(batch_refused, "aggregator", "") \
    X(epoch_opened, "aggregator", "") \
    X(lease_lost, "aggregator", "") \
    X(lease_refused, "aggregator", "") \
    X(lease_waited, "aggregator", "") \
    X(ledger_behind_stream, "aggregator", "") \
    X(quota_function_refused, "aggregator", "") \
    X(quota_read_refused, "aggregator", "") \
    X(quota_write_refused, "aggregator", "") \
    X(redis_durability_unknown, "aggregator", "") \
    X(redis_durability_weak, "aggregator", "") \
    X(redis_durable, "aggregator", "") \
    X(redis_refused, "aggregator", "") \
    X(redis_volatile, "aggregator", "") \
    X(retention_applied, "aggregator", "") \
    X(schema_waited, "aggregator", "") \
    X(shards_followed, "aggregator", "") \
    X(step_failed, "aggregator", "") \
    X(strays_moved, "aggregator", "") \
    X(stream_drained, "aggregator", "") \
    X(stream_handed_over, "aggregator", "") \
    X(stream_in_future, "aggregator", "") \
    X(stream_joined_late, "aggregator", "") \
    X(stream_opened, "aggregator", "") \
    X(stream_refused, "aggregator", "") \
    X(stream_retired, "aggregator", "") \
    X(upkeep_failed, "aggregator", "") \
    X(window_rebuilt, "aggregator", "") \
    X(window_shrunk, "aggregator", "") \
    X(schema_refused, "aggregator sink webhookd", "") \
    X(quota_foreign, "aggregator webhookd", "") \
    X(account_refused, "sink", "") \
    X(claim_delayed, "sink", "") \
    X(claim_refused, "sink", "") \
    X(count_refused, "sink", "") \
    X(cycle_settled, "sink", "") \
    X(doubt_settled, "sink", "") \
    X(drift_found, "sink", "") \
    X(drift_unread, "sink", "") \
    X(dry_run_failed, "sink", "") \
    X(edges_claimed, "sink", "") \
    X(held_back, "sink", "") \
    X(hold_lifted, "sink", "") \
    X(ledger_suspected, "sink", "") \
    X(life_changed, "sink", "") \
    X(life_delayed, "sink", "") \
    X(life_unsure, "sink", "") \
    X(meter_freed, "sink", "") \
    X(meter_held, "sink", "") \
    X(meters_unread, "sink", "") \
    X(not_compared, "sink", "") \
    X(reconcile_delayed, "sink", "") \
    X(reconcile_done, "sink", "") \
    X(schema_accepted, "sink", "") \
    X(send_delayed, "sink", "") \
    X(send_doubted, "sink", "") \
    X(send_expired, "sink", "") \
    X(send_recovered, "sink", "") \
    X(send_refused, "sink", "") \
    X(sending_blocked, "sink", "") \
    X(sending_resumed, "sink", "") \
    X(session_opened, "sink", "") \
    X(settle_delayed, "sink", "") \
    X(settle_refused, "sink", "") \
    X(settled_at_once, "sink", "") \
    X(changes_refused, "webhookd", "") \
    X(healing_refused, "webhookd", "") \
    X(limits_cached_again, "webhookd", "") \
    X(limits_not_cached, "webhookd", "") \
    X(limits_rewritten, "webhookd", "") \
    X(meter_errors_reported, "webhookd", "") \
    X(pick_recovered, "webhookd", "") \
    X(pick_refused, "webhookd", "") \
    X(plan_unknown, "webhookd", "") \
    X(schema_awaited, "webhookd", "") \
    X(store_failed, "webhookd", "") \
    X(store_recovered, "webhookd", "") \
    X(webhook_delayed, "webhookd", "") \
    X(webhook_failed, "webhookd", "") \
    X(webhook_ignored, "webhookd", "") \
    X(webhook_processed, "webhookd", "") \
    X(webhook_refused, "webhookd", "")
/* clang-format on */

#define LOG_EVENT_ID(name, stages, meaning) LOG_OF_##name,
enum log_event { LOG_EVENT_TABLE(LOG_EVENT_ID) LOG_EVENT_COUNT };
#undef LOG_EVENT_ID

struct log_event_spec {
    const char *name;
    const char *stages;
    const char *meaning;
};
extern const struct log_event_spec LOG_EVENTS[LOG_EVENT_COUNT];

#endif
