/* Limits and verdicts, as the quota cache has them: what a service is told that asks Redis itself.
 */
#include "api/request.h"
#include "api/usage/usage_handlers.h"
#include "common/clock.h"
#include "common/contract.h"
#include "common/dec.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REDIS_DEADLINE_MS = 2000, METRICS_MAX = 512 };

static const char *const CAPS[] = {"none", "soft", "hard", NULL};
static const char *const STATUSES[] = {"active", "grace", "blocked", NULL};
static const char *const VERDICTS[] = {"allow", "allow_over", "deny", NULL};
static const char *const REASONS[] = {"ok",    "soft_cap",       "hard_cap", "blocked",
                                      "grace", "unknown_metric", NULL};

static const struct api_field QUOTA[] = {
    {.name = "metric", .type = API_NAME, .what = "of the catalog"},
    {.name = "limit", .type = API_DECIMAL, .nullable = true, .what = "null: unlimited"},
    {.name = "cap",
     .type = API_CHOICE,
     .choices = CAPS,
     .what = "beyond the limit: none and soft allow it, hard denies it"},
    {.name = "used", .type = API_DECIMAL, .what = "in the limit's current window"},
    {.name = "remaining",
     .type = API_DECIMAL,
     .nullable = true,
     .what = "limit less used, not below 0; null: unlimited"},
    {.name = "resets_at",
     .type = API_TIME,
     .nullable = true,
     .what = "when used begins anew; null: nothing was used"},
    {.name = "grace_until",
     .type = API_TIME,
     .nullable = true,
     .what = "a limit that has fallen is told, not kept, until then"},
    API_FIELDS_END};

const struct api_field QUOTAS_FIELDS[] = {
    {.name = "tenant", .type = API_TEXT, .what = "whose they are"},
    {.name = "plan", .type = API_TEXT, .nullable = true, .what = "the plan in force"},
    {.name = "status",
     .type = API_CHOICE,
     .choices = STATUSES,
     .what = "active; grace: a payment failed lately; blocked: nothing is allowed"},
    {.name = "refreshed_at",
     .type = API_TIME,
     .nullable = true,
     .what = "when the limits were last written; null: those of the plan free"},
    {.name = "metrics", .type = API_LIST, .fields = QUOTA, .what = "all that the plan limits"},
    API_FIELDS_END};

/* The hash. */

enum { QUOTA_TEXT_BYTES = 256 }; /* about what one takes in the answer */

struct quota {
    const char *metric;
    int metric_length;
};

static const redisReply *find(const redisReply *hash, const char *name)
{
    for (size_t i = 0; hash && i + 1 < hash->elements; i += 2)
        if (strcmp(hash->element[i]->str, name) == 0)
            return hash->element[i + 1];
    return NULL;
}

/* The value of `<metric>.<field>`. */
static const char *find_of(const redisReply *hash, const struct quota *q, const char *field)
{
    size_t metric = (size_t)q->metric_length;
    size_t length = metric + 1 + strlen(field);
    for (size_t i = 0; hash && i + 1 < hash->elements; i += 2) {
        const redisReply *name = hash->element[i];
        const redisReply *value = hash->element[i + 1];
        if (name->len == length && name->str[metric] == '.' &&
            memcmp(name->str, q->metric, metric) == 0 && strcmp(name->str + metric + 1, field) == 0)
            return value ? value->str : NULL;
    }
    return NULL;
}

static int64_t number(const char *text)
{
    int64_t n = 0;
    if (text)
        (void)str_to_i64(text, strlen(text), &n);
    return n;
}

static void add_name(struct buf *out, const char *name)
{
    buf_add_str(out, ",\"");
    buf_add_str(out, name);
    buf_add_str(out, "\":");
}

static void add_time(struct buf *out, const char *name, int64_t unix_ms)
{
    char text[CLOCK_TEXT_SIZE];
    add_name(out, name);
    if (unix_ms <= 0) {
        buf_add_str(out, "null");
        return;
    }
    clock_format_iso(unix_ms, text);
    buf_add_char(out, '"');
    buf_add_str(out, text);
    buf_add_char(out, '"');
}

static void add_text(struct buf *out, const char *name, const char *text)
{
    add_name(out, name);
    if (text)
        buf_add_json_str(out, text, strlen(text));
    else
        buf_add_str(out, "null");
}

static void add_remaining(struct buf *out, const char *limit, const char *used)
{
    struct dec most, now, left;
    char text[DEC_TEXT_SIZE];
    if (dec_parse(limit, strlen(limit), &most) || dec_parse(used, strlen(used), &now) ||
        dec_sub(most, now, &left))
        left = DEC_ZERO;
    dec_format(dec_cmp(left, DEC_ZERO) < 0 ? DEC_ZERO : left, text);
    add_text(out, "remaining", text);
}

/* limits: of the hash itself, or that of the plan free. */
static void add_quota(struct buf *out, const struct quota *q, const redisReply *hash,
                      const redisReply *limits)
{
    int64_t ends_ms = number(find_of(hash, q, "period_end"));
    const char *used = find_of(hash, q, "used");
    const char *limit = find_of(limits, q, "limit");
    const char *cap = find_of(limits, q, "cap");
    bool is_over = ends_ms <= clock_unix_ms();
    if (!used || is_over)
        used = "0";
    buf_add_str(out, "{\"metric\":\"");
    buf_add(out, q->metric, (size_t)q->metric_length);
    buf_add_char(out, '"');
    bool is_limited = limit && strcmp(limit, "unlimited") != 0;
    add_text(out, "limit", is_limited ? limit : NULL);
    add_text(out, "cap", cap ? cap : "none");
    add_text(out, "used", used);
    if (is_limited)
        add_remaining(out, limit, used);
    else
        add_text(out, "remaining", NULL);
    add_time(out, "resets_at", is_over ? 0 : ends_ms);
    add_time(out, "grace_until", number(find_of(limits, q, "grace_until")));
    buf_add_char(out, '}');
}

static int compare(const void *a, const void *b)
{
    const struct quota *one = a, *other = b;
    int least =
        one->metric_length < other->metric_length ? one->metric_length : other->metric_length;
    int order = memcmp(one->metric, other->metric, (size_t)least);
    return order ? order : one->metric_length - other->metric_length;
}

/* Each metric that has a limit, by name. */
static int list_quotas(const redisReply *limits, struct quota list[METRICS_MAX])
{
    static const char SUFFIX[] = ".limit";
    int n = 0;
    for (size_t i = 0; limits && i + 1 < limits->elements && n < METRICS_MAX; i += 2) {
        size_t length = limits->element[i]->len;
        const char *name = limits->element[i]->str;
        if (length < sizeof SUFFIX || strcmp(name + length - (sizeof SUFFIX - 1), SUFFIX) != 0)
            continue;
        list[n++] =
            (struct quota){.metric = name, .metric_length = (int)(length - (sizeof SUFFIX - 1))};
    }
    if (n > 1)
        qsort(list, (size_t)n, sizeof *list, compare);
    return n;
}

static void answer(struct api_request *r, const redisReply *hash, const redisReply *limits)
{
    struct quota list[METRICS_MAX];
    struct buf out = {0};
    const redisReply *status = find(hash, "status");
    const redisReply *plan = find(limits, "plan");
    const redisReply *refreshed = find(hash, "refreshed_at");
    int n = list_quotas(limits, list);
    buf_reserve(&out, (size_t)(n + 1) * QUOTA_TEXT_BYTES);
    buf_add_str(&out, "{\"tenant\":");
    buf_add_json_str(&out, r->tenant, strlen(r->tenant));
    add_text(&out, "plan", plan ? plan->str : status ? NULL : "free");
    add_text(&out, "status", status ? status->str : "active");
    add_time(&out, "refreshed_at", refreshed ? number(refreshed->str) : 0);
    buf_add_str(&out, ",\"metrics\":[");
    for (int i = 0; i < n; i++) {
        if (i > 0)
            buf_add_char(&out, ',');
        add_quota(&out, &list[i], hash, limits);
    }
    buf_add_str(&out, "]}");
    api_answer_text(r, out.data, out.length);
    buf_done(&out);
}

static void run_read(struct api_request *r, const char *tenant, redis_done_fn done)
{
    char *key = xasprintf(QUOTA_KEY_PREFIX "%s}", tenant);
    const char *argv[] = {"HGETALL", key};
    const size_t lengths[] = {7, strlen(key)};
    redis_router_command(r->context->redis, key, lengths[1], REDIS_DEADLINE_MS, done, r, 2, argv,
                         lengths);
    free(key);
}

/* A tenant that is not in the cache has the limits of the plan free, which stand under "". */
static void take_free(void *owner, const struct err *error, void *reply)
{
    struct api_request *r = owner;
    if (error)
        api_fail_err(r, error);
    else
        answer(r, NULL, reply);
}

static void take_hash(void *owner, const struct err *error, void *reply)
{
    struct api_request *r = owner;
    if (error)
        api_fail_err(r, error);
    else if (find(reply, "status"))
        answer(r, reply, reply);
    else
        run_read(r, "", take_free);
}

void quotas_read(struct api_request *r)
{
    run_read(r, r->tenant, take_hash);
}

/* The verdict. */

const struct api_param CHECK_PARAMS[] = {
    {.place = API_QUERY,
     .name = "metric",
     .type = API_NAME,
     .required = true,
     .what = "of the catalog"},
    {.place = API_QUERY,
     .name = "quantity",
     .type = API_DECIMAL,
     .min = 0,
     .fallback = "1",
     .what = "how much more; 0 asks whether the tenant is within its limit"},
    API_PARAMS_END};

const struct api_field CHECK_FIELDS[] = {
    {.name = "tenant", .type = API_TEXT, .what = "who was asked about"},
    {.name = "metric", .type = API_NAME, .what = "as asked"},
    {.name = "quantity", .type = API_DECIMAL, .what = "as asked"},
    {.name = "verdict", .type = API_CHOICE, .choices = VERDICTS, .what = "whether it may"},
    {.name = "reason", .type = API_CHOICE, .choices = REASONS, .what = "why"},
    {.name = "used", .type = API_DECIMAL, .what = "in the limit's current window"},
    {.name = "held", .type = API_DECIMAL, .what = "reserved, and not in used yet"},
    {.name = "limit", .type = API_DECIMAL, .nullable = true, .what = "null: there is none"},
    {.name = "cap", .type = API_CHOICE, .choices = CAPS, .what = "what happens beyond it"},
    {.name = "resets_at",
     .type = API_TIME,
     .nullable = true,
     .what = "when used begins anew; null: nothing was used"},
    API_FIELDS_END};

enum { VERDICT, REASON, USED, HELD, LIMIT, CAP, ENDS, VERDICT_PARTS };

static bool is_verdict(const redisReply *reply)
{
    if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != VERDICT_PARTS)
        return false;
    for (int i = 0; i < VERDICT_PARTS; i++)
        if (reply->element[i]->type != REDIS_REPLY_STRING)
            return false;
    return true;
}

static void take_verdict(void *owner, const struct err *error, void *reply)
{
    struct api_request *r = owner;
    const redisReply *parts = reply;
    struct buf out = {0};
    struct err e;
    if (!error && !is_verdict(parts)) {
        err_set(&e, ERR_REFUSED, "Redis gave a verdict that is none of ours");
        error = &e;
    }
    if (error) {
        api_fail_err(r, error);
        return;
    }
    const char *limit = parts->element[LIMIT]->str;
    buf_add_str(&out, "{\"tenant\":");
    buf_add_json_str(&out, r->tenant, strlen(r->tenant));
    add_text(&out, "metric", api_text(r, "metric"));
    add_text(&out, "quantity", api_text(r, "quantity"));
    add_text(&out, "verdict", parts->element[VERDICT]->str);
    add_text(&out, "reason", parts->element[REASON]->str);
    add_text(&out, "used", parts->element[USED]->str);
    add_text(&out, "held", parts->element[HELD]->str);
    add_text(&out, "limit", *limit && strcmp(limit, "unlimited") != 0 ? limit : NULL);
    add_text(&out, "cap", parts->element[CAP]->str);
    add_time(&out, "resets_at", number(parts->element[ENDS]->str));
    buf_add_char(&out, '}');
    api_answer_text(r, out.data, out.length);
    buf_done(&out);
}

void quotas_check(struct api_request *r)
{
    char *key = xasprintf(QUOTA_KEY_PREFIX "%s}", r->tenant);
    const char *argv[] = {"FCALL_RO", "meterline_check",     "1",
                          key,        api_text(r, "metric"), api_text(r, "quantity")};
    size_t lengths[6];
    for (int i = 0; i < 6; i++)
        lengths[i] = strlen(argv[i]);
    redis_router_command(r->context->redis, key, lengths[3], REDIS_DEADLINE_MS, take_verdict, r, 6,
                         argv, lengths);
    free(key);
}
