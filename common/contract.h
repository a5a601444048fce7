/* Names that two stages share: the version, the streams and their group, the quota cache, roles,
 * versions of Stripe's API and of the schema. Changing one is a change of the contract with
 * services and dashboards. */
#ifndef METERLINE_CONTRACT_H
#define METERLINE_CONTRACT_H

#define METERLINE_VERSION "0.1.0"

/* Redis: the stream, one shard each; {n} is a hash tag. */
#define STREAM_KEY       "usage:events"            /* with METERLINE_STREAM_SHARDS=1 */
#define STREAM_SHARD_KEY "usage:events:{%d}"       /* with more */
#define STREAM_GROUP     "aggregator"              /* shows the position to standard exporters */
#define SENT_KEY_PREFIX  "meterline:sent:"         /* <ledger id>: its sinks' last pick */
#define QUOTA_KEY_PREFIX "quota:{"                 /* quota:{<tenant>} */
#define QUOTA_CHECKED    "meterline:quota_checked" /* when all of it was gone over, Unix ms, … */
#define CHECKED_LIMITS   "limits_at"               /* … by webhookd */
#define SIGNALS_KEY      "billing:signals" /* a stream: what happened, for services to read */
#define SIGNAL_MARK_PREFIX                                                                         \
    "{billing:signals}:sent:" /* <message id>: it is in the stream; same slot */
#define SIGNAL_MARK_S 86400
#define CHECKED_USED  "used_at" /* … by the aggregator */

/* Fields of a stream entry that are not dimensions. */
#define FIELD_TENANT   "tenant"
#define FIELD_METRIC   "metric"
#define FIELD_QUANTITY "quantity"
#define FIELD_ID       "id"
#define FIELD_TS       "ts"
#define FIELD_OP       "op"
#define FIELD_BACKFILL "backfill" /* a dimension: see usage_backfills */

/* Bounds of an entry. */
#define TENANT_MAX_BYTES    128
#define METRIC_MAX_BYTES    64
#define EVENT_ID_MAX_BYTES  255
#define DIMENSION_MAX_BYTES 256
#define DIMENSIONS_MAX      16
#define EVENT_AGE_MAX_MS    (35LL * 86400000LL)
#define EVENT_FUTURE_MAX_MS (5LL * 60000LL)
#define EVENT_ENTRY_FUTURE_MAX_MS                                                                  \
    86400000LL /* of its own time, that somebody may have given it                                 \
                */
#define REJECTED_FIELDS_MAX_BYTES 65536

/* Reasons in rejected_events. */
#define REASON_MISSING_FIELD      "missing_field"
#define REASON_BAD_FIELD          "bad_field"
#define REASON_UNKNOWN_METRIC     "unknown_metric"
#define REASON_BAD_QUANTITY       "bad_quantity"
#define REASON_BAD_TIMESTAMP      "bad_timestamp"
#define REASON_TOO_OLD            "too_old"
#define REASON_IN_FUTURE          "in_future"
#define REASON_TOO_LARGE          "too_large"
#define REASON_UNKNOWN_RETRACTION "unknown_retraction"
#define REASON_WRONG_SHARD        "wrong_shard"
#define REASON_REFUSED            "refused"
#define REASON_CONFLICT           "conflict"

/* Stripe. */
#define STRIPE_VERSION_CURRENT "2026-10-28.endive"
#define STRIPE_VERSION_LEGACY  "2024-06-20"

/* What a stage's schema check wants: the highest migration that this build knows. */
#define SCHEMA_VERSION 12

/* SQLSTATE that our functions raise. */
#define SQLSTATE_FENCED "ML001"

#endif
