#include "emitter/daemon/quota_door.h"

#include "common/clock.h"
#include "common/closing.h"
#include "common/contract.h"
#include "common/log.h"
#include "common/metric_table.h"
#include "common/redis/redis_router.h"
#include "emitter/daemon/problem.h"

#include <assert.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BUCKETS = 1 << 14,
    ENTRIES_MAX = 1 << 16, /* of some 700 bytes each; beyond that, answers are not kept */
    SWEEP_EVERY_MS = 1000,
    NUMBER_SIZE = 24
};

/* One question, and its answer. */
struct entry {
    struct quota_door *door;
    char *key; /* owned: tenant, NUL, metric, NUL, quantity, NUL if denied is 403 */
    size_t key_length;
    int denied;                     /* status of a deny */
    struct quota_ask ask;           /* in key */
    struct http_response *response; /* owned; NULL: none yet */
    struct metric *counter;         /* of its verdict */
    int64_t asked_ms;               /* Redis, for that: monotonic */
    int64_t asking_ms;              /* the same of the next one … */
    int64_t asking_at_ms;           /* … and Unix */
    bool is_asking;
    struct http_exchange **waiters;
    int waiters_count;
    int waiters_capacity;
    struct entry *next; /* in its bucket */
};

struct quota_door {
    const struct context *context;
    struct redis_router *router;
    struct entry *buckets[BUCKETS];
    int entries;
    bool was_up;
    unsigned char secret[crypto_shorthash_KEYBYTES];
    uv_timer_t sweep;
    struct log_causes failed;
    struct closing closing;
};

/* Answering. */

static void add_number(struct http_response *r, const char *name, int64_t value)
{
    char text[NUMBER_SIZE];
    snprintf(text, sizeof text, "%" PRId64, value);
    http_response_header(r, name, text);
}

static void add_rate_limit(struct http_response *r, const struct quota_answer *a, int64_t wait_s)
{
    char text[QUOTA_HEADER_SIZE + NUMBER_SIZE + 4];
    if (!a->limit[0])
        return;
    if (a->ends_ms > 0)
        snprintf(text, sizeof text, "%s;t=%" PRId64, a->limit, wait_s);
    http_response_header(r, "RateLimit", a->ends_ms > 0 ? text : a->limit);
    http_response_header(r, "RateLimit-Policy", a->policy);
}

struct http_response *quota_response_new(const struct daemon_config *config,
                                         const struct quota_answer *a, int64_t asked_ms, int denied)
{
    int status = a->status == 200 ? 200 : denied;
    char asked[CLOCK_TEXT_SIZE];
    int64_t wait_s = quota_answer_wait_s(a, asked_ms);
    struct http_response *r =
        http_response_new(status, "application/json", a->body.data, a->body.length);
    http_response_header(r, "Meterline-Verdict", a->verdict);
    http_response_header(r, "Meterline-Reason", a->reason);
    clock_format_iso(asked_ms, asked);
    http_response_header(r, "Meterline-As-Of", asked);
    add_rate_limit(r, a, wait_s);
    if (!strcmp(a->verdict, QUOTA_UNKNOWN))
        http_response_header(r, "Meterline-Quota-Fail",
                             config->quota_fail == QUOTA_FAIL_OPEN ? "open" : "closed");
    if (a->status != 200)
        add_number(r, "Retry-After", wait_s);
    return r;
}

static void answer(struct http_exchange *x, const struct entry *n)
{
    metric_add(n->counter, 1);
    http_reply_with(x, n->response);
}

static void answer_waiters(struct entry *n)
{
    for (int i = 0; i < n->waiters_count; i++)
        answer(n->waiters[i], n);
    n->waiters_count = 0;
}

/* Entries. */

static struct entry **place_of(struct quota_door *q, const char *key, size_t length)
{
    uint64_t hash;
    crypto_shorthash((unsigned char *)&hash, (const unsigned char *)key, length, q->secret);
    struct entry **at = &q->buckets[hash % BUCKETS];
    while (*at && ((*at)->key_length != length || memcmp((*at)->key, key, length) != 0))
        at = &(*at)->next;
    return at;
}

static struct entry *entry_new(struct quota_door *q, const char *key, size_t length,
                               const struct quota_ask *ask)
{
    struct entry *n = xcalloc(1, sizeof *n);
    n->door = q;
    n->key = xmalloc(length);
    memcpy(n->key, key, length);
    n->key_length = length;
    n->ask.tenant = (struct slice){n->key, ask->tenant.length};
    n->ask.metric = (struct slice){n->key + ask->tenant.length + 1, ask->metric.length};
    n->ask.quantity =
        (struct slice){n->ask.metric.data + ask->metric.length + 1, ask->quantity.length};
    q->entries++;
    return n;
}

static void entry_free(struct entry *n)
{
    n->door->entries--;
    http_response_free(n->response);
    free(n->waiters);
    free(n->key);
    free(n);
}

static bool is_kept(const struct quota_door *q, const struct entry *n, int64_t now_ms)
{
    return n->is_asking || now_ms - n->asked_ms < q->context->config->quota_cache_ms;
}

static void drop(struct quota_door *q, struct entry *n)
{
    struct entry **at = place_of(q, n->key, n->key_length);
    assert(*at == n);
    *at = n->next;
    entry_free(n);
}

static void on_sweep(uv_timer_t *timer)
{
    struct quota_door *q = timer->data;
    int64_t now_ms = clock_monotonic_ms();
    for (int i = 0; i < BUCKETS; i++)
        for (struct entry **at = &q->buckets[i]; *at;) {
            struct entry *n = *at;
            if (is_kept(q, n, now_ms)) {
                at = &n->next;
            } else {
                *at = n->next;
                entry_free(n);
            }
        }
}

/* Asking. */

static void note_failed(struct quota_door *q, const char *why)
{
    uint64_t suppressed = 0;
    if (log_cause_failed(&q->failed, why, clock_monotonic_ms(), &suppressed))
        log_warn(quota_not_answered, LOG_U64("held_back", suppressed), LOG_MSG(why));
}

static void on_answer(void *owner, const struct err *error, void *reply)
{
    struct entry *n = owner;
    struct quota_door *q = n->door;
    struct quota_answer a = {0};
    n->is_asking = false;
    bool is_known = !error && quota_answer_take(&a, &n->ask, reply) == 0;
    if (is_known && log_cause_recovered(&q->failed))
        log_info(quota_answered_again, LOG_MSG("Redis answers to checks of quotas"));
    if (!is_known) {
        if (!error || error->kind != ERR_CANCELED)
            note_failed(q, error ? error->text : "Redis gave an answer that is none of ours");
        quota_answer_fail(&a, &n->ask, q->context->config->quota_fail == QUOTA_FAIL_OPEN);
    }
    http_response_free(n->response);
    n->response = quota_response_new(q->context->config, &a, n->asking_at_ms, n->denied);
    n->asked_ms = n->asking_ms;
    n->counter = metric_with(METRIC_OF_QUOTA_ANSWERS, a.verdict);
    quota_answer_done(&a);
    answer_waiters(n);
    if (!is_known || q->entries > ENTRIES_MAX || q->context->config->quota_cache_ms == 0)
        drop(q, n);
}

static void ask_redis(struct quota_door *q, struct entry *n)
{
    char *hash = xasprintf(QUOTA_KEY_PREFIX "%.*s}", (int)n->ask.tenant.length, n->ask.tenant.data);
    const char *argv[] = {"FCALL", "meterline_check",  "1",
                          hash,    n->ask.metric.data, n->ask.quantity.data};
    const size_t lengths[] = {5, 15, 1, strlen(hash), n->ask.metric.length, n->ask.quantity.length};
    n->is_asking = true;
    n->asking_ms = clock_monotonic_ms();
    n->asking_at_ms = clock_unix_ms();
    redis_router_command(q->router, hash, lengths[3],
                         (uint64_t)q->context->config->quota_timeout_ms, on_answer, n, 6, argv,
                         lengths);
    free(hash);
}

static void add_waiter(struct entry *n, struct http_exchange *x)
{
    if (n->waiters_count == n->waiters_capacity) {
        n->waiters_capacity = n->waiters_capacity ? 2 * n->waiters_capacity : 4;
        n->waiters = xrealloc(n->waiters, (size_t)n->waiters_capacity * sizeof(*n->waiters));
    }
    n->waiters[n->waiters_count++] = x;
}

static void ask(struct quota_door *q, struct http_exchange *x, const struct quota_ask *wanted,
                int denied)
{
    char bytes[TENANT_MAX_BYTES + METRIC_MAX_BYTES + 64];
    struct buf key = {.data = bytes, .capacity = sizeof bytes};
    buf_add(&key, wanted->tenant.data, wanted->tenant.length);
    buf_add_char(&key, '\0');
    buf_add(&key, wanted->metric.data, wanted->metric.length);
    buf_add_char(&key, '\0');
    buf_add(&key, wanted->quantity.data, wanted->quantity.length);
    if (denied != QUOTA_DENIED)
        buf_add_char(&key, '\0');
    assert(key.data == bytes);
    struct entry **place = place_of(q, key.data, key.length);
    if (!*place)
        *place = entry_new(q, key.data, key.length, wanted);
    struct entry *n = *place;
    n->denied = denied;
    int64_t age_ms = clock_monotonic_ms() - n->asked_ms;
    int64_t keep_ms = q->context->config->quota_cache_ms;
    bool is_good = n->response && age_ms < keep_ms;
    if (is_good)
        answer(x, n);
    else
        add_waiter(n, x);
    if (!n->is_asking && age_ms >= keep_ms / 2)
        ask_redis(q, n);
}

/* Requests. */

static const char PATH[] = "/v1/quota/check";

/* Behind the path stands that of the request which a gateway asks for, and the query is its
 * client's, who may not choose. */
static bool is_clients(const struct http_exchange *x)
{
    return strcmp(x->path, PATH) != 0;
}

static struct slice parameter(const struct http_exchange *x, const char *name, const char *header,
                              const char *otherwise)
{
    const char *text = is_clients(x) ? NULL : http_exchange_query(x, name);
    text = text ? text : http_exchange_header(x, header);
    text = text ? text : otherwise;
    return (struct slice){text, strlen(text)};
}

/* nginx' auth_request knows no other way to say no. */
static bool is_forbidden(const struct http_exchange *x)
{
    const char *text = is_clients(x) ? NULL : http_exchange_query(x, "deny");
    return text && !strcmp(text, "403");
}

void quota_door_check(struct quota_door *q, struct http_exchange *x, const struct caller *caller)
{
    struct err e;
    struct quota_ask wanted = {.tenant = parameter(x, "tenant", "X-Tenant", ""),
                               .metric = parameter(x, "metric", "X-Metric", ""),
                               .quantity = parameter(x, "quantity", "X-Quantity", "1")};
    if (wanted.tenant.length == 0)
        wanted.tenant = caller->tenant;
    if (caller->is_bound && !slice_equals(caller->tenant, wanted.tenant))
        answer_error(x, 403, "wrong_tenant", "the key is for another tenant");
    else if (quota_ask_check(&wanted, &e))
        answer_error(x, 400, "invalid_request", e.text);
    else
        ask(q, x, &wanted, is_forbidden(x) ? 403 : QUOTA_DENIED);
}

static void on_up(void *owner)
{
    struct quota_door *q = owner;
    q->was_up = true;
}

struct quota_door *quota_door_open(const struct context *context, struct err *e)
{
    static const char *const VERDICTS[] = {"allow", "allow_over", "deny", "unknown"};
    struct quota_door *q = xcalloc(1, sizeof *q);
    q->context = context;
    q->router = redis_router_open(stage_loop(context->stage), context->config->base.redis_url,
                                  (struct redis_router_events){.on_up = on_up, .owner = q}, e);
    if (!q->router) {
        free(q);
        return NULL;
    }
    for (size_t i = 0; i < sizeof VERDICTS / sizeof *VERDICTS; i++)
        metric_with(METRIC_OF_QUOTA_ANSWERS, VERDICTS[i]);
    randombytes_buf(q->secret, sizeof q->secret);
    uv_timer_init(stage_loop(context->stage), &q->sweep);
    q->sweep.data = q;
    uv_timer_start(&q->sweep, on_sweep, SWEEP_EVERY_MS, SWEEP_EVERY_MS);
    return q;
}

struct redis_router *quota_door_router(const struct quota_door *q)
{
    return q->router;
}

bool quota_door_is_up(const struct quota_door *q)
{
    return redis_router_is_up(q->router);
}

bool quota_door_was_up(const struct quota_door *q)
{
    return q->was_up;
}

static void door_free(void *self)
{
    struct quota_door *q = self;
    for (int i = 0; i < BUCKETS; i++)
        while (q->buckets[i]) {
            struct entry *n = q->buckets[i];
            q->buckets[i] = n->next;
            entry_free(n);
        }
    free(q);
}

/* The router first: whoever still waits is answered, as long as there is a listener. */
void quota_door_close(struct quota_door *q)
{
    closing_begin(&q->closing, q, door_free, NULL, NULL);
    redis_router_close(q->router, closing_part_closed, closing_part(&q->closing));
    closing_handle(&q->closing, &q->sweep);
    closing_end(&q->closing);
}
