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
    X(balance_broken, "aggregator", "The stream's balance is off: somebody removed entries that had not been counted (XTRIM, XDEL, or XADD with MAXLEN), or entries that had been counted came back. Find out who writes to the stream; book what is gone with `meterctl stream lost`.") \
    X(batch_committed, "aggregator", "A batch of entries was written to PostgreSQL, with how many were counted, repeated, rejected or in conflict.") \
    X(batch_fenced, "aggregator", "A commit was refused because another aggregator has taken the stream over. Nothing was written; the position is read again.") \
    X(batch_refused, "aggregator", "PostgreSQL refused a batch because of its data. It is halved until the entry at fault is alone, which is then rejected with the reason `refused`.") \
    X(epoch_opened, "aggregator", "Redis lost entries, or `meterctl stream reset` was cut short: a new epoch was opened, and reading goes on from where the stream is certainly counted. Check why Redis lost data.") \
    X(lease_lost, "aggregator", "Another aggregator took the stream over, as when this one was paused for more than 3 seconds.") \
    X(lease_refused, "aggregator", "--once could not get the stream, because another aggregator keeps it.") \
    X(lease_waited, "aggregator", "Other aggregators work on all streams. This one stands by until one of them ends.") \
    X(ledger_behind_stream, "aggregator", "PostgreSQL lost commits, as after a restore from a backup. What is still in the stream is counted again, the rest is booked as lost, and sinks hold until `meterctl restore accept`.") \
    X(maintenance_failed, "aggregator", "A job beside the counting failed; `job` says which one (lease, partitions, carry, retention). It is tried again.") \
    X(misrouted_moved, "aggregator", "Entries that were in the stream of another shard were added to the right stream.") \
    X(quota_function_refused, "aggregator", "Redis refused to load the function that writes the quota cache. Allow FUNCTION LOAD and FCALL for this user.") \
    X(quota_read_refused, "aggregator", "PostgreSQL refused to tell the usage that the quota cache needs. It is tried again; the cache gets old meanwhile.") \
    X(quota_write_refused, "aggregator", "Redis refused to take usage into the quota cache, as when it is full. It is tried again; the cache gets old meanwhile.") \
    X(redis_durability_unknown, "aggregator", "CONFIG GET is not allowed, so it is not known whether Redis keeps what it acknowledged. Allow it, or check the settings by hand.") \
    X(redis_durability_weak, "aggregator", "appendfsync is not `always`: a power loss may lose the last entries that were acknowledged.") \
    X(redis_durable, "aggregator", "Redis keeps entries again, after redis_volatile.") \
    X(redis_refused, "aggregator", "This Redis may lose entries, so the aggregator did not start. Set maxmemory-policy noeviction and appendonly yes, or METERLINE_ALLOW_VOLATILE_REDIS=1.") \
    X(redis_volatile, "aggregator", "Redis evicts keys or has no append-only file, so it may lose entries. Set maxmemory-policy noeviction and appendonly yes.") \
    X(retention_applied, "aggregator", "The daily retention dropped raw events and rejected entries that are past their keep.") \
    X(schema_waited, "aggregator", "The database has an older schema than this program needs. Run `meterctl migrate`; work begins by itself then.") \
    X(shards_followed, "aggregator", "The database has another number of shards, as after `meterctl reshard`. This process goes by it from now on.") \
    X(step_failed, "aggregator", "A step failed and is tried again with a growing delay; `step` says which one.") \
    X(stream_drained, "aggregator", "--once read the stream to its end, and all of it is counted.") \
    X(stream_handed_over, "aggregator", "Another aggregator joined, so this one gave a stream away to share the work.") \
    X(stream_in_future, "aggregator", "Somebody added an entry with an id of their own that is more than a day ahead, so later entries get ids from the future. Events without ts are rejected until `meterctl stream reset`.") \
    X(stream_joined_late, "aggregator", "A stream that was never counted before had already been trimmed. Counting begins with what is left.") \
    X(stream_opened, "aggregator", "This aggregator began to count the stream.") \
    X(stream_refused, "aggregator", "The stream belongs to another ledger and was not touched. Correct DATABASE_URL or REDIS_URL, or take the stream over with `meterctl stream adopt`.") \
    X(stream_retired, "aggregator", "A stream of an earlier number of shards was counted to its end and deleted.") \
    X(window_rebuilt, "aggregator", "The deduplication table was filled from the stored batches, as after a start or a takeover.") \
    X(window_shrunk, "aggregator", "DEDUPE_MEMORY_MB is full, so the oldest ids were forgotten early. Raise it, or accept a shorter window.") \
    X(schema_refused, "aggregator sink webhookd", "The database has a schema that this program cannot work with. Install the matching version.") \
    X(quota_foreign, "aggregator webhookd", "A hash in the quota cache belongs to another ledger and was left alone. Only one ledger may use this Redis; `meterctl stream adopt` takes it over.") \
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
    X(ledger_confirmed, "sink", "") \
    X(ledger_check_delayed, "sink", "") \
    X(ledger_unsure, "sink", "") \
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
