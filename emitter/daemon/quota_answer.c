#include "emitter/daemon/quota_answer.h"

#include "common/clock.h"
#include "common/contract.h"
#include "common/dec.h"
#include "common/verdict.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PARTS = 7, WAIT_S = 60 };
/* The largest integer of a structured header (RFC 9651). */
#define HEADER_INTEGER_MAX 999999999999999LL

int quota_ask_check(const struct quota_ask *ask, struct err *e)
{
    struct dec quantity;
    const struct dec nothing = dec_from_i64(0);
    if (ask->tenant.length == 0 || ask->tenant.length > TENANT_MAX_BYTES ||
        !str_is_utf8(ask->tenant.data, ask->tenant.length) ||
        str_has_control(ask->tenant.data, ask->tenant.length))
        return err_set(e, ERR_INPUT, "tenant must be 1 to %d bytes, as tenant= or X-Tenant",
                       TENANT_MAX_BYTES);
    if (!str_is_name(ask->metric.data, ask->metric.length))
        return err_set(e, ERR_INPUT, "metric must be [a-z0-9_]{1,64}, as metric= or X-Metric");
    if (dec_parse_quantity(ask->quantity.data, ask->quantity.length, &quantity) ||
        dec_cmp(quantity, nothing) < 0)
        return err_set(e, ERR_INPUT,
                       "quantity must be a decimal from 0 on, of up to 18 digits, and "
                       "up to 9 behind a point, as quantity= or X-Quantity");
    return 0;
}

static void add_text(struct buf *out, const char *name, const char *text, size_t length)
{
    buf_printf(out, "\"%s\":", name);
    buf_add_json_str(out, text, length);
    buf_add_char(out, ',');
}

static void begin_body(struct quota_answer *a, const struct quota_ask *ask)
{
    struct buf *out = &a->body;
    buf_printf(out, "{\"allowed\":%s,", a->status == 200 ? "true" : "false");
    add_text(out, "verdict", a->verdict, strlen(a->verdict));
    add_text(out, "reason", a->reason, strlen(a->reason));
    add_text(out, "tenant", ask->tenant.data, ask->tenant.length);
    add_text(out, "metric", ask->metric.data, ask->metric.length);
    add_text(out, "quantity", ask->quantity.data, ask->quantity.length);
}

/* The same text, static; NULL: it is none of them. */
static const char *find_verdict(const char *text)
{
    for (int i = VERDICT_ALLOW; i <= VERDICT_DENY; i++)
        if (!strcmp(verdict_name((enum verdict)i), text))
            return verdict_name((enum verdict)i);
    return NULL;
}

static const char *find_reason(const char *text)
{
    for (int i = VERDICT_OK; i <= VERDICT_UNKNOWN_METRIC; i++)
        if (!strcmp(verdict_reason_name((enum verdict_reason)i), text))
            return verdict_reason_name((enum verdict_reason)i);
    return NULL;
}

/* What is left, at least 0; whole: its integer part. */
static bool left_of(const redisReply *const *parts, struct dec *left, int64_t *whole)
{
    struct dec used;
    struct dec held;
    struct dec limit;
    if (dec_parse(parts[2]->str, parts[2]->len, &used) ||
        dec_parse(parts[3]->str, parts[3]->len, &held) ||
        dec_parse(parts[4]->str, parts[4]->len, &limit) || dec_sub(limit, used, left) ||
        dec_sub(*left, held, left))
        return false;
    if (dec_cmp(*left, dec_from_i64(0)) < 0)
        *left = dec_from_i64(0);
    char text[DEC_TEXT_SIZE];
    size_t length = (size_t)dec_format(*left, text);
    return str_to_i64(text, strcspn(text, "."), whole) == 0 && length > 0;
}

static void make_headers(struct quota_answer *a, const struct quota_ask *ask, const char *limit,
                         int64_t left)
{
    int64_t whole;
    int length = (int)ask->metric.length;
    if (str_to_i64(limit, strcspn(limit, "."), &whole) || whole > HEADER_INTEGER_MAX ||
        left > HEADER_INTEGER_MAX)
        return;
    snprintf(a->limit, sizeof a->limit, "\"%.*s\";r=%" PRId64, length, ask->metric.data, left);
    snprintf(a->policy, sizeof a->policy, "\"%.*s\";q=%" PRId64, length, ask->metric.data, whole);
}

static void end_body(struct quota_answer *a, const redisReply *const *parts,
                     const struct quota_ask *ask)
{
    struct buf *out = &a->body;
    struct dec left;
    int64_t whole;
    add_text(out, "used", parts[2]->str, parts[2]->len);
    add_text(out, "held", parts[3]->str, parts[3]->len);
    if (left_of(parts, &left, &whole)) {
        char text[DEC_TEXT_SIZE];
        dec_format(left, text);
        add_text(out, "limit", parts[4]->str, parts[4]->len);
        add_text(out, "remaining", text, strlen(text));
        make_headers(a, ask, parts[4]->str, whole);
    } else {
        buf_add_str(out, "\"limit\":null,\"remaining\":null,");
    }
    add_text(out, "cap", parts[5]->str, parts[5]->len);
    if (a->ends_ms > 0) {
        char text[CLOCK_TEXT_SIZE];
        clock_format_iso(a->ends_ms, text);
        buf_printf(out, "\"resets_at\":\"%s\"}", text);
    } else {
        buf_add_str(out, "\"resets_at\":null}");
    }
}

int quota_answer_take(struct quota_answer *a, const struct quota_ask *ask, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != PARTS)
        return -1;
    const redisReply *const *parts = (const redisReply *const *)reply->element;
    for (size_t i = 0; i < PARTS; i++)
        if (parts[i]->type != REDIS_REPLY_STRING)
            return -1;
    a->verdict = find_verdict(parts[0]->str);
    a->reason = find_reason(parts[1]->str);
    if (!a->verdict || !a->reason || str_to_i64(parts[6]->str, parts[6]->len, &a->ends_ms))
        return -1;
    a->status = strcmp(a->verdict, "deny") != 0 ? 200 : 429;
    buf_clear(&a->body);
    begin_body(a, ask);
    end_body(a, parts, ask);
    return 0;
}

void quota_answer_fail(struct quota_answer *a, const struct quota_ask *ask, bool is_open)
{
    a->status = is_open ? 200 : 429;
    a->verdict = QUOTA_UNKNOWN;
    a->reason = "redis_unavailable";
    a->ends_ms = 0;
    a->limit[0] = a->policy[0] = '\0';
    buf_clear(&a->body);
    begin_body(a, ask);
    a->body.data[a->body.length - 1] = '}';
}

int64_t quota_answer_wait_s(const struct quota_answer *a, int64_t now_ms)
{
    if (!strcmp(a->verdict, QUOTA_UNKNOWN))
        return 1;
    if (a->ends_ms <= now_ms)
        return WAIT_S;
    return (a->ends_ms - now_ms + 999) / 1000;
}

void quota_answer_done(struct quota_answer *a)
{
    buf_done(&a->body);
}
