/* Every metric that a stage has, each once: name, type and unit, its labels, which stages have it,
 * and what it tells. docs/metrics.md is made of it (`make docs`). */
#ifndef METERLINE_METRIC_TABLE_H
#define METERLINE_METRIC_TABLE_H

#include "common/metrics.h"

/* X(id, name, type, unit, labels with commas, stages, help) */
/* clang-format off */
#define METRIC_TABLE(X) \
    X(BUILD_INFO, "meterline_build_info", GAUGE, PLAIN, "version,revision", "every stage", \
      "1; which version runs, and which commit it was built from") \
    X(READY, "meterline_ready", GAUGE, PLAIN, "", "every stage", \
      "1 while /readyz says that the stage can do its work") \
    X(MEMORY, "meterline_memory_bytes", GAUGE, PLAIN, "", "every stage", \
      "Memory that the process has in use (its resident set)") \
    X(PEER_UP, "meterline_peer_up", GAUGE, PLAIN, "peer", "every stage", \
      "1 while the peer (redis, postgres, stripe, smtp) can be reached") \
    X(CLOCK_OFFSET, "meterline_clock_offset_seconds", GAUGE, MS_AS_SECONDS, "peer", "every stage", \
      "The peer's clock minus ours") \
    X(HTTP_CUT, "meterline_http_cut_total", COUNTER, PLAIN, "reason", "every stage", \
      "Clients that were cut off or refused before anybody saw their request: slow to send it, crowded (there were too many), memory (bodies took too much), two_lengths (it ended in two places)") \
    X(OLDEST_WAITING, "meterline_oldest_waiting_seconds", GAUGE, MS_AS_SECONDS, "queue", "every stage", \
      "Age of the oldest that waits in the queue: a stream's entries, quota_cache, submissions, webhooks, " \
      "messages_signal, messages_mail, messages_post") \
    X(STRIPE_REQUESTS, "meterline_stripe_requests_total", COUNTER, PLAIN, "outcome", "sink, webhookd", \
      "Requests to Stripe by outcome") \
    X(STRIPE_SECONDS, "meterline_stripe_request_seconds", HISTOGRAM, MS_AS_SECONDS, "kind", "sink, webhookd", \
      "Time until Stripe answered, by what it was asked: usage by its transport, session, list, fetch") \
    X(REDIS_REDIRECTS, "meterline_redis_redirects_total", COUNTER, PLAIN, "kind", "aggregator, webhookd", \
      "Redirections of a Redis Cluster (ask, moved) that were followed") \
    X(EVENTS, "meterline_events_total", COUNTER, PLAIN, "outcome", "aggregator", \
      "Entries of the streams by outcome: counted, duplicate, rejected, conflict") \
    X(REJECTED, "meterline_rejected_total", COUNTER, PLAIN, "reason", "aggregator", \
      "Entries that were not counted, by the reason that rejected_events has") \
    X(STREAM_LAG, "meterline_stream_lag_events", GAUGE, PLAIN, "stream", "aggregator", \
      "Entries that wait in the stream") \
    X(UNOWNED, "meterline_unowned_streams", GAUGE, PLAIN, "", "aggregator", \
      "Streams that no aggregator counts, as this process saw it last") \
    X(UNACCOUNTED, "meterline_unaccounted_events", GAUGE, PLAIN, "stream", "aggregator", \
      "Entries that were added and are neither accounted for nor waiting: 0") \
    X(COMMIT, "meterline_commit_seconds", HISTOGRAM, US_AS_SECONDS, "", "aggregator", \
      "Time that a batch's transaction took") \
    X(AGGREGATION, "meterline_aggregation_seconds", HISTOGRAM, US_AS_SECONDS, "", "aggregator", \
      "Time from reading the first entry of a batch until the batch was committed") \
    X(DATABASE, "meterline_database_bytes", GAUGE, PLAIN, "", "aggregator", \
      "Size of the database on PostgreSQL's disk, as measured every ten minutes; without its write-ahead log") \
    X(DEDUPE_WINDOW, "meterline_dedupe_window_seconds", GAUGE, MS_AS_SECONDS, "stream", "aggregator", \
      "How far back a repeated id is recognised whatever its timestamp") \
    X(DEDUPE_TARGET, "meterline_dedupe_window_target_seconds", GAUGE, MS_AS_SECONDS, "", "aggregator", \
      "How far back it should be, by DEDUPE_WINDOW_H") \
    X(DEDUPE_KEYS, "meterline_dedupe_keys", GAUGE, PLAIN, "stream", "aggregator", \
      "Ids in the deduplication table") \
    X(DEDUPE_BYTES, "meterline_dedupe_bytes", GAUGE, PLAIN, "stream", "aggregator", \
      "Memory of the deduplication table") \
    X(QUOTA_LAG, "meterline_quota_lag_seconds", GAUGE, MS_AS_SECONDS, "", "aggregator", \
      "Age of the oldest event in the last write of the quota cache") \
    X(QUOTA_AGE, "meterline_quota_age_seconds", HISTOGRAM, MS_AS_SECONDS, "", "aggregator", \
      "Age of the oldest event in each write of the quota cache, when it was written") \
    X(QUOTA_REFRESH, "meterline_quota_refresh_age_seconds", GAUGE, MS_AS_SECONDS, "", "aggregator", \
      "Since all usage in the quota cache was last gone over, which a process that counts does every minute") \
    X(SUBMISSIONS, "meterline_submissions", GAUGE, PLAIN, "state", "sink", \
      "Submissions by state, as last counted; sent: by this process, what a person dropped left out") \
    X(CLAIMS, "meterline_claims_total", COUNTER, PLAIN, "", "sink", \
      "Submissions claimed") \
    X(UNCLAIMED, "meterline_unclaimed_units", GAUGE, PLAIN, "metric,reason,age", "sink", \
      "Units that are counted and in no submission, by why (see usage_unbilled; contested: two customers have the " \
      "tenant) and by how long ago their total " \
      "last changed (under_15m, under_1h, under_1d, over_1d), as last counted: once a minute at most") \
    X(METRIC_SILENT, "meterline_metric_silent_seconds", GAUGE, MS_AS_SECONDS, "metric", "sink", \
      "Since the last event of a metric that was used in a period that is open or ended up to 35 days ago, as last " \
      "counted") \
    X(TENANTS, "meterline_tenants", GAUGE, PLAIN, "age", "sink", \
      "Tenants that had usage in such a period, by how long ago their last event was (under_1h, under_1d, under_7d, " \
      "over_7d), as last counted") \
    X(SINK_HELD, "meterline_sink_held", GAUGE, PLAIN, "", "sink", \
      "1 while sinks are held, by a restore or by hand, and nothing is sent") \
    X(METERS_HELD, "meterline_sink_meters_held", GAUGE, PLAIN, "", "sink", \
      "Event names whose usage waits, since Stripe's meter is missing or counts otherwise") \
    X(STRIPE_DRIFT, "meterline_stripe_drift_units", GAUGE, PLAIN, "", "sink", \
      "Units by which Stripe differs from what was sent, as last compared") \
    X(WEBHOOKS, "meterline_webhooks", GAUGE, PLAIN, "state", "webhookd", \
      "Webhook events by state, as last counted") \
    X(WEBHOOK_REQUESTS, "meterline_webhook_requests_total", COUNTER, PLAIN, "outcome", "webhookd", \
      "Requests to the webhook endpoint by outcome") \
    X(WEBHOOK_ANSWER, "meterline_webhook_answer_seconds", HISTOGRAM, MS_AS_SECONDS, "", "webhookd", \
      "Time until Stripe had the answer to an event whose signature was right") \
    X(WEBHOOKS_WORKED, "meterline_webhooks_worked_total", COUNTER, PLAIN, "outcome", "webhookd", \
      "Webhook events worked by outcome") \
    X(WEBHOOKS_MISSED, "meterline_webhooks_missed_total", COUNTER, PLAIN, "", "webhookd", \
      "Events that Stripe lists and had not delivered five minutes after they happened") \
    X(WEBHOOK_SECONDS, "meterline_webhook_processing_seconds", HISTOGRAM, MS_AS_SECONDS, "outcome", "webhookd", \
      "Time from receiving a webhook event until it was worked, by outcome: processed, ignored, failed") \
    X(QUOTA_WRITES, "meterline_quota_writes_total", COUNTER, PLAIN, "", "webhookd", \
      "Tenants whose limits were written into the quota cache") \
    X(MESSAGES, "meterline_messages", GAUGE, PLAIN, "channel,state", "notifier", \
      "Messages by the way they go (signal, mail, post) and by state (waiting, failed), as last counted") \
    X(MESSAGES_TRIED, "meterline_messages_tried_total", COUNTER, PLAIN, "channel,outcome", "notifier", \
      "Attempts to send a message, by outcome: sent, delayed, failed") \
    X(MESSAGE_SECONDS, "meterline_message_seconds", HISTOGRAM, MS_AS_SECONDS, "channel", "notifier", \
      "Time from when a message came up until it was sent") \
    X(ALERTS_RAISED, "meterline_alerts_raised_total", COUNTER, PLAIN, "", "notifier", \
      "Thresholds of limits that usage has passed") \
    X(NOT_INVOICED, "meterline_not_invoiced_units", GAUGE, PLAIN, "metric", "notifier", \
      "Units that were sent for periods that are over and that no final invoice bills (see usage_not_invoiced), of the last two months") \
    X(EMITTED, "meterline_emitter_events_total", COUNTER, PLAIN, "outcome", "emitter", \
      "Events that requests brought, by outcome: accepted, refused (they are none), unavailable (the spool is full, or the disk)") \
    X(SPOOL_BYTES, "meterline_spool_bytes", GAUGE, PLAIN, "", "emitter", \
      "Size of the spool, of EMITTER_SPOOL_MAX_MB") \
    X(SPOOL_WAITING, "meterline_spool_waiting_events", GAUGE, PLAIN, "", "emitter", \
      "Events that this process took and Redis does not have yet") \
    X(QUOTA_ANSWERS, "meterline_quota_answers_total", COUNTER, PLAIN, "verdict", "emitter", \
      "Answers to checks of quotas, by verdict: allow, allow_over, deny, unknown (Redis did not answer)") \
    X(API_REQUESTS, "meterline_api_requests_total", COUNTER, PLAIN, "outcome", "api", \
      "Requests by outcome: answered, refused (4xx), failed (5xx)") \
    X(API_SECONDS, "meterline_api_request_seconds", HISTOGRAM, US_AS_SECONDS, "", "api", \
      "Time until a request was answered")
/* clang-format on */

#define METRIC_ID(id, name, type, unit, labels, stages, help) METRIC_OF_##id,
enum metric_id { METRIC_TABLE(METRIC_ID) METRIC_IDS };
#undef METRIC_ID

struct metric_spec {
    const char *name;
    enum metric_type type;
    enum metric_unit unit;
    const char *labels; /* names with commas between them; "" for none */
    const char *stages;
    const char *help;
};

extern const struct metric_spec METRIC_SPECS[METRIC_IDS];

/* The series of that metric and labels, as metric_get. Its labels are asserted to be the table's,
 * in its order. */
struct metric *metric_of(enum metric_id id, const char *labels);

/* The same with one label, whose value is escaped. */
struct metric *metric_with(enum metric_id id, const char *value);

/* Every series of it is 0. */
void metric_clear(enum metric_id id);

/* There is no series of it any more. */
void metric_drop(enum metric_id id);

/* One more: adds 1 to the counter of that label's value. */
void metric_count(enum metric_id id, const char *value);

#endif
