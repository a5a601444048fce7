/* Every log event that a stage has, each once: its name, which stages write it, and what it tells.
 * docs/logs.md is made of it (`make docs`). */
#ifndef METERLINE_LOG_EVENTS_H
#define METERLINE_LOG_EVENTS_H

/* X(event, stages, meaning): a past tense; "all" or names with a space between; what happened, and
 * what to do where a person has to. */
/* clang-format off */
#define LOG_EVENT_TABLE(X) \
    X(clock_differed, "all", "The peer's clock differs from this machine's by more than it should. Set both by NTP: timestamps are judged by this machine's clock.") \
    X(close_stuck, "all", "The process could not close all its handles in time and aborted. This is a bug: please report it with the core dump.") \
    X(connection_cut, "all", "A client was cut off: slow to send its request (`slow`), or too many were connected (`crowded`) or held too much (`memory`).") \
    X(drain_cut, "all", "Work was still in flight when the time to finish it was over. The process leaves all the same; the next start repeats that work safely.") \
    X(draining, "all", "The process was asked to stop and finishes what is in flight; `cause` says by whom.") \
    X(gave_up, "all", "A run with `--once` could not work for as long as `--give-up-after` allows, and ends with exit code 1. `msg` says what it waited for.") \
    X(heartbeat_failed, "all", "This process could not note in the database that it is alive. It tries again; `meterctl status` may miss it meanwhile.") \
    X(listening, "all", "An HTTP server accepts connections at `address`.") \
    X(notice_received, "all", "PostgreSQL sent a notice (level debug).") \
    X(peer_back, "all", "The peer can be reached again.") \
    X(peer_lost, "all", "The peer cannot be reached. The stage tries again after `wait_ms`, logs this once a minute, and goes on by itself when the peer is back.") \
    X(setting_changed, "all", "The file of a setting has new content, which everything begun from now on uses.") \
    X(setting_kept, "all", "The new content of a setting's file cannot be used, so the old one stays in force. Correct the file; it is read again when it changes.") \
    X(setting_refused, "all", "A setting is wrong; `msg` says why. The process does not start until it is corrected.") \
    X(settings_read_again, "all", "SIGHUP arrived, and the files that settings name were read again.") \
    X(start_failed, "all", "The process could not start and ends; `msg` says why.") \
    X(started, "all", "The process is up.") \
    X(state_changed, "all", "A state machine moved from one state to another (level debug).") \
    X(stopped, "all", "The process has ended with exit code `code`.") \
    X(systemd_notify_failed, "all", "The socket that NOTIFY_SOCKET names cannot be used, so systemd does not learn that this process is up (`Type=notify`). Leave the variable to systemd.") \
    X(balance_broken, "aggregator", "The stream's balance is off: somebody removed entries that had not been counted (XTRIM, XDEL, or XADD with MAXLEN), or entries that had been counted came back. Find out who writes to the stream; book what is gone with `meterctl stream lost`.") \
    X(batch_committed, "aggregator", "A batch of entries was written to PostgreSQL, with how many were counted, repeated, rejected or in conflict.") \
    X(batch_fenced, "aggregator", "A commit was refused because another aggregator has taken the stream over. Nothing was written; the position is read again.") \
    X(batch_refused, "aggregator", "PostgreSQL refused a batch because of its data. It is halved until the entry at fault is alone, which is then rejected with the reason `refused`.") \
    X(epoch_opened, "aggregator", "Redis lost entries, or `meterctl stream reset` was cut short: a new epoch was opened, and reading goes on from where the stream is certainly counted. Check why Redis lost data.") \
    X(lease_lost, "aggregator", "Another aggregator took the stream over, as when this one was paused for more than 3 seconds.") \
    X(lease_refused, "aggregator", "A run with `--once` could not get the stream, because another aggregator works on it and counts it. Nothing is lost.") \
    X(lease_waited, "aggregator", "Other aggregators work on all streams. This one stands by until one of them ends.") \
    X(ledger_behind_stream, "aggregator", "PostgreSQL lost commits, as after a restore from a backup. What is still in the stream is counted again, the rest is booked as lost, and sinks hold until `meterctl restore accept`.") \
    X(maintenance_failed, "aggregator", "A job beside the counting failed; `job` says which one (lease, partitions, carry, window_changes, retention). It is tried again.") \
    X(misrouted_moved, "aggregator", "Entries that were in the stream of another shard were added to the right stream.") \
    X(quota_function_failed, "aggregator webhookd", "Redis refused to load the functions of the quota cache. Allow FUNCTION LOAD, FCALL and FCALL_RO for this user.") \
    X(quota_read_failed, "aggregator", "PostgreSQL refused to tell the usage that the quota cache needs. It is tried again; the cache gets old meanwhile.") \
    X(quota_write_failed, "aggregator", "Redis refused to take usage into the quota cache, as when it is full. It is tried again; the cache gets old meanwhile.") \
    X(redis_durability_unknown, "aggregator", "CONFIG GET is not allowed, so it is not known whether Redis keeps what it acknowledged. Allow it, or check the settings by hand.") \
    X(redis_durability_weak, "aggregator", "`appendfsync` is not `always`: a power loss may lose the last entries that were acknowledged.") \
    X(redis_durable, "aggregator", "Redis keeps entries again, after `redis_volatile`.") \
    X(redis_unfit, "aggregator", "This Redis may lose entries, so the aggregator did not start. Set maxmemory-policy noeviction and appendonly yes, or METERLINE_ALLOW_VOLATILE_REDIS=1.") \
    X(redis_volatile, "aggregator", "Redis evicts keys or has no append-only file, so it may lose entries. Set maxmemory-policy noeviction and appendonly yes.") \
    X(retention_applied, "aggregator", "The daily retention dropped raw events and rejected entries that are past their keep.") \
    X(shard_count_followed, "aggregator", "The database has another number of shards, as after `meterctl reshard`. This process goes by it from now on.") \
    X(stream_step_failed, "aggregator", "A step failed and is tried again with a growing delay; `step` says which one.") \
    X(stream_caught_up, "aggregator", "A run with `--once` read the stream to its end, and all of it is counted.") \
    X(stream_handed_over, "aggregator", "Another aggregator joined, so this one gave a stream away to share the work.") \
    X(stream_in_future, "aggregator", "Somebody added an entry with an id of their own that is more than a day ahead, so later entries get ids from the future. Events without ts are rejected until `meterctl stream reset`.") \
    X(stream_joined_late, "aggregator", "A stream that was never counted before had already been trimmed. Counting begins with what is left.") \
    X(stream_opened, "aggregator", "This aggregator began to count the stream.") \
    X(stream_refused, "aggregator", "The stream belongs to another ledger and was not touched. Correct DATABASE_URL or REDIS_URL, or take the stream over with `meterctl stream adopt`.") \
    X(stream_retired, "aggregator", "A stream of an earlier number of shards was counted to its end and deleted.") \
    X(dedupe_window_rebuilt, "aggregator", "The deduplication table was filled from the stored batches, as after a start or a takeover.") \
    X(dedupe_window_shrunk, "aggregator", "DEDUPE_MEMORY_MB is full, so the oldest ids were forgotten early. Raise it, or accept a shorter window.") \
    X(schema_refused, "aggregator sink webhookd notifier api", "The database has a schema that this program cannot work with. Install the matching version.") \
    X(change_committed, "api", "A request changed something: `kind` is that of its row in billing_history, `key` the name of the key.") \
    X(request_failed, "api", "A request was answered with 5xx; `msg` says why. Logged once a minute, with the number of others.") \
    X(upkeep_failed, "api", "PostgreSQL refused what is done beside the requests: keeping those that are being worked on, and dropping old ones. It is tried again.") \
    X(quota_foreign, "aggregator webhookd", "A hash in the quota cache belongs to another ledger and was left alone. Only one ledger may use this Redis; `meterctl stream adopt` takes it over.") \
    X(redis_redirected, "aggregator webhookd", "A node of the Redis Cluster sent a command to another node, where it was sent again.") \
    X(schema_waited, "aggregator sink webhookd notifier api", "The schema of the database is missing or older than this program needs. Work begins by itself after `meterctl migrate`; until then webhookd answers deliveries with 503.") \
    X(account_refused, "sink webhookd api", "Stripe refused the key (401; for the sink 403 as well). Nothing is sent but a probe a minute, and webhookd works events as without a key. Correct `STRIPE_SECRET_KEY`.") \
    X(claim_delayed, "sink", "Usage could not be claimed for submission. It is tried again, and nothing is lost.") \
    X(claim_refused, "sink", "One total was not submitted; `msg` says why. A value of too many digits waits until it is corrected; what PostgreSQL refused is claimed again in the next cycle. Others are not affected.") \
    X(claimed_before_cycle, "sink", "Usage of tenants with a new invoice was claimed without waiting for the next cycle.") \
    X(backlog_count_failed, "sink", "PostgreSQL refused to count the submissions, so their metrics are out of date.") \
    X(cycle_settled, "sink", "A claim cycle is over, and its submissions are sent or wait for their next attempt.") \
    X(doubt_settled, "sink", "A submission whose outcome was unknown was compared with Stripe's figures: it is `sent`, `void` and claimed anew, or `failed`, and then a person has to decide.") \
    X(drift_found, "sink", "Stripe's figure is above (drift above 0) or below what was sent. `meterctl reconcile --tenant T` names the minutes.") \
    X(drift_not_read, "sink", "Stripe's figure for a customer and metric could not be read, so it was not compared.") \
    X(dry_run_failed, "sink", "The dry run could not list what it would send; `msg` says why.") \
    X(hold_lifted, "sink", "The hold is over: claiming and sending resume.") \
    X(ledger_check_delayed, "sink", "PostgreSQL could not be compared with what Redis knows of sent usage. It is tried again, and nothing is sent meanwhile.") \
    X(ledger_confirmed, "sink", "PostgreSQL was restarted or failed over and has everything that Redis knows of. Sending goes on.") \
    X(ledger_suspected, "sink", "PostgreSQL may have been restored to an earlier moment; `why` says what tells so. Nothing is claimed or sent until `meterctl restore accept`.") \
    X(ledger_unsure, "sink", "PostgreSQL and Redis were both started anew, and may be backups of one moment. What is not yet compared with Stripe waits; if both are backups, run `meterctl restore hold`, then `meterctl restore accept`.") \
    X(meter_freed, "sink", "Stripe's meter is as the catalog has it again, and its usage is sent.") \
    X(meter_held, "sink", "Stripe's meter is missing or counts in another way than the catalog says, so its usage waits. Correct the meter or the catalog.") \
    X(meters_not_read, "sink", "Stripe's meters could not be read. Which usage waits for them stays as it was until they can.") \
    X(not_compared, "sink", "After a restore, usage of some tenants waits until it was compared with Stripe. Sinks do so by themselves.") \
    X(period_ends_claimed, "sink", "Usage of periods that are about to end or have just ended was claimed without waiting for the next cycle.") \
    X(reconcile_delayed, "sink", "The comparison with Stripe could not go on. It is tried again.") \
    X(reconcile_done, "sink", "A comparison with Stripe's figures is over; `drifted` is how many differ.") \
    X(schema_accepted, "sink", "The schema fits again, and the sink works.") \
    X(send_delayed, "sink", "A submission failed and is tried again after `wait_ms`; logged once a minute for each kind of failure.") \
    X(send_doubted, "sink", "Whether Stripe took a submission is unknown, so it is not repeated. It is settled by comparing with Stripe's figures.") \
    X(send_expired, "sink", "A submission is too old for Stripe to take it. Its usage is not billed unless a person decides so: see `meterctl late list`.") \
    X(send_recovered, "sink", "Submissions no longer fail.") \
    X(send_refused, "sink", "Stripe refused a submission for good. See `meterctl submissions` for what to do.") \
    X(sending_blocked, "sink", "Stripe cannot be used, so sending stops but for a probe after `wait_ms`. It resumes by itself.") \
    X(sending_resumed, "sink", "Stripe answers again, and sending resumes.") \
    X(stripe_session_opened, "sink", "A session of Stripe's meter event stream was opened for `life_s` seconds.") \
    X(settle_delayed, "sink", "The outcomes of submissions could not be stored. They are kept in memory and stored later.") \
    X(outcome_refused, "sink", "PostgreSQL refused to store a submission's outcome. When its lease has run out it is sent again under the same key, which bills nothing twice; look at `sqlstate` if it repeats.") \
    X(sinks_held, "sink", "Sinks are held: the ledger was found behind the stream, or somebody ran `meterctl restore hold`. Nothing is claimed or sent until `meterctl restore accept`, which says why.") \
    X(rate_lowered, "sink webhookd api", "Stripe answered 429, so fewer calls a second are made for a while. Nothing is lost; the rate rises again by itself.") \
    X(catch_up_failed, "webhookd", "Events that were never delivered could not be looked for; `msg` says why. It is tried again by itself.") \
    X(catch_up_finished, "webhookd", "Stripe's list of events was read up to now. Of its `events`, `stored` had not come yet.") \
    X(deliveries_missed, "webhookd", "Stripe lists `events` that should have been delivered and never were. They are worked now. Look at the endpoint's failed deliveries in Stripe's dashboard, and which events it is subscribed to.") \
    X(fetch_allowed, "webhookd", "Stripe lets the key read objects of `kind` again, after `fetch_refused`.") \
    X(fetch_refused, "webhookd", "Stripe does not let the key read objects of `kind`. Their events are worked as without a key. Give the restricted key read access to them.") \
    X(limit_changes_failed, "webhookd", "PostgreSQL refused to read or refresh limits that somebody changed. The changes stay noted and are tried again; look at `msg` if it lasts.") \
    X(limits_cached_again, "webhookd", "Limits are written into the quota cache again, after `limits_not_cached`.") \
    X(limits_not_cached, "webhookd", "Redis did not take limits for the quota cache. The sweep writes them when Redis is back.") \
    X(limits_rewritten, "webhookd", "A sweep has gone over the limits of all tenants, and the quota cache is up to date.") \
    X(meter_errors_reported, "webhookd", "Stripe reported meter events that it had accepted and refused later. The submissions that it names become `failed` and wait for a person: see `meterctl submissions list`.") \
    X(webhook_pick_recovered, "webhookd", "PostgreSQL gives out webhook events again, after `webhook_pick_failed`.") \
    X(webhook_pick_failed, "webhookd", "PostgreSQL refused to give out webhook events, so none is worked. It is tried again; `msg` says why.") \
    X(objects_read, "webhookd", "Stripe no longer lists all events since the last look, so all `customers` and `subscriptions` were read. What had changed has its effect now, as after `meterctl stripe sync`.") \
    X(plan_unknown, "webhookd", "A subscription fits no plan of the catalog, so its tenant keeps the limits that it had, those of the plan `free` if it never had another. Add the lookup key of its price to the catalog, or set metadata.plan.") \
    X(customer_contested, "webhookd", "Two customers with a subscription each have the same tenant. Nothing is sent to Stripe for it until one subscription has ended, metadata.tenant is corrected, or `meterctl customers move` has decided.") \
    X(tenant_mismatched, "webhookd", "An object names another tenant than its customer belongs to, and counts for the customer's. Correct its metadata.tenant.") \
    X(webhook_store_failed, "webhookd", "Deliveries could not be stored and were answered with 503, or with 500 where PostgreSQL refused their data. Stripe sends them again.") \
    X(webhook_store_recovered, "webhookd", "Deliveries are stored again, after `webhook_store_failed`.") \
    X(limits_sweep_failed, "webhookd", "PostgreSQL refused a statement of the sweep over all limits. The next sweep tries again; look at `msg` if it lasts.") \
    X(webhook_delayed, "webhookd", "A webhook event could not be worked and is tried again after `wait_ms`; `msg` says why.") \
    X(webhook_failed, "webhookd", "A webhook event cannot be worked; `msg` says why. A person has to remove the cause and then set its `state` to `received` to try it again.") \
    X(webhook_ignored, "webhookd", "A webhook event has no effect here, as when its type is not used, or it has no tenant yet; `msg` says why. Where a tenant was missing, it is taken up when the tenant is known.") \
    X(webhook_processed, "webhookd", "The effect of a webhook event is committed.") \
    X(webhook_refused, "webhookd", "A request to the webhook endpoint was answered with 400, because its signature or its body is not Stripe's; `reason` and `msg` say which. If Stripe sent it, check `STRIPE_WEBHOOK_SECRET`.") \
    X(delivery_failed, "emitter", "Events could not be sent to Redis, or the disk of the spool fails; `msg` says why. What was accepted waits in the spool and is tried again.") \
    X(delivery_recovered, "emitter", "Redis has taken events again, after `delivery_failed`.") \
    X(quota_answered_again, "emitter", "Redis answers to checks of quotas again, after `quota_not_answered`.") \
    X(quota_not_answered, "emitter", "Redis did not answer to checks of quotas, which were answered as QUOTA_FAIL says; `msg` says why. If the function is missing, webhookd has not loaded it yet.") \
    X(message_delayed, "notifier", "A message was not taken and is tried again after `wait_ms`; `msg` says why. Logged once a minute for each cause.") \
    X(message_failed, "notifier", "A message was refused for good, or was tried for as long as `NOTIFIER_GIVE_UP_S` says; `msg` says why. When the cause is removed, send it by `meterctl messages retry`.") \
    X(messages_settled, "notifier", "What became of attempts is noted in PostgreSQL: how many messages were sent, delayed, failed.") \
    X(alerts_raised, "notifier", "Usage has passed thresholds of its limits. Each is told once in a window, of each limit.") \
    X(subscriptions_doubled, "notifier", "Tenants have several subscriptions that stand: each bills their usage, one alone decides their limits. Logged at the start and once a day, with one of them; `meterctl status` has them all.") \
    X(outbox_refused, "notifier", "PostgreSQL refused a statement of the notifier's, which is tried again; look at `sqlstate` and `msg` if it lasts.")
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
