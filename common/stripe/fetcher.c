#include "common/stripe/fetcher.h"

#include "common/clock.h"
#include "common/closing.h"
#include "common/contract.h"
#include "common/http/http_client.h"
#include "common/log.h"
#include "common/metric_table.h"
#include "common/stripe/circuit_breaker.h"
#include "common/stripe/objects/stripe_event.h"
#include "common/stripe/stripe_answer.h"
#include "common/stripe/stripe_limits.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONNECT_TIMEOUT_MS = 3000,
    TIMEOUT_MS = 10000,
    BODY_MAX_BYTES = 4 << 20,
    PATIENCE_MS = 20000, /* with 429s: the caller may hold a transaction open meanwhile */
    PAUSE_MS = 3000,
    PROBE_MS = 500, /* a probe is under way */
    NOT_FOUND = 404,
    UNAUTHORIZED = 401,
    FORBIDDEN = 403,
    CONFLICT = 409,
    TOO_MANY_REQUESTS = 429,
    FLAP_MS = 60000,
    FAILURES = 5, /* in a row, of one kind of object */
    KINDS_MAX = 24
};

/* Keeps calls back: all of them, or those of one kind of object. */
struct gate {
    char *kind; /* "v1/customers"; NULL: all calls */
    struct circuit_breaker breaker;
    bool refuses; /* while open: our key, or our key for this kind; else it fails */
    int failures; /* in a row */
    struct err loss;
    char *probe; /* the URL that the breaker opened for */
};

struct fetch {
    struct fetcher *fetcher;
    struct gate *gate; /* of its kind */
    char *url;
    int64_t begun_ms; /* monotonic */
    int64_t sent_ms;  /* Unix ms */
    fetch_done_fn done;
    void *owner;
    struct fetch *next; /* in the queue */
    struct fetch *twin; /* one that asked for the same while this one waited */
};

struct fetcher {
    const struct stripe_access *access;
    struct fetcher_events events;
    struct http_client *client;
    struct stripe_limits limits;
    struct gate all;
    struct gate kinds[KINDS_MAX];
    int kinds_n;
    struct fetch *first; /* the queue */
    struct fetch **end;
    uv_timer_t timer;
    /* Stripe is one peer, however many ask it. If it comes and goes, that is logged once a minute.
     */
    struct log_causes losses;
    struct log_repeat refusals;
    int64_t logged_ms;   /* when the last loss was; monotonic */
    uint64_t suppressed; /* losses since */
    struct err loss;     /* of the last call; ERR_NONE: Stripe answered it */
    struct closing closing;
};

static void report_lost(struct fetcher *f, const struct err *error)
{
    uint64_t suppressed;
    char cause[32]; /* without the id of the request */
    int64_t now_ms = clock_monotonic_ms();
    (void)snprintf(cause, sizeof cause, "%s %d", err_kind_name(error->kind), error->code);
    f->loss = *error;
    if (!f->losses.repeat.failing && f->logged_ms && now_ms - f->logged_ms < FLAP_MS) {
        f->suppressed++;
        return;
    }
    if (!log_cause_failed(&f->losses, cause, now_ms, &suppressed))
        return;
    bool refused = error->code == UNAUTHORIZED;
    log_event(refused ? LOG_ERROR : LOG_WARN, refused ? LOG_OF_account_refused : LOG_OF_peer_lost,
              LOG_STR("peer", "stripe"), LOG_U64("held_back", suppressed + f->suppressed),
              LOG_ERR(error));
    f->logged_ms = now_ms;
    f->suppressed = 0;
}

static void report_answered(struct fetcher *f)
{
    f->loss = (struct err){0};
    if (log_cause_recovered(&f->losses))
        log_info(peer_back, LOG_STR("peer", "stripe"));
}

/* The queue. */

static void enqueue(struct fetch *fetch)
{
    struct fetcher *f = fetch->fetcher;
    fetch->next = NULL;
    *f->end = fetch;
    f->end = &fetch->next;
}

/* Calls back for it and its twins, which are gone after that. */
static void end_fetch(struct fetch *fetch, struct fetch_answer answer)
{
    answer.sent_ms = fetch->sent_ms ? fetch->sent_ms : clock_unix_ms();
    while (fetch) {
        struct fetch *twin = fetch->twin;
        fetch_done_fn done = fetch->done;
        void *owner = fetch->owner;
        free(fetch->url);
        free(fetch);
        done(owner, &answer);
        fetch = twin;
    }
}

/* Gates. */

static void open_gate(struct fetcher *f, struct gate *g, bool refuses, const struct fetch *fetch,
                      const struct err *e)
{
    bool was_closed = g->breaker.state == BREAKER_CLOSED;
    if (breaker_trip(&g->breaker, clock_monotonic_ms(), backoff_random()) == 0)
        return;
    g->refuses = refuses;
    g->loss = *e;
    free(g->probe);
    g->probe = xstrdup(fetch->url);
    if (g == &f->all)
        metric_set(metric_with(METRIC_OF_PEER_UP, "stripe"), 0);
    else if (refuses && was_closed)
        log_warn(fetch_refused, LOG_STR("kind", g->kind), LOG_ERR(e));
}

static void close_gate(struct fetcher *f, struct gate *g)
{
    g->failures = 0;
    if (!breaker_reset(&g->breaker))
        return;
    if (g == &f->all)
        metric_set(metric_with(METRIC_OF_PEER_UP, "stripe"), 1);
    else if (g->refuses)
        log_info(fetch_allowed, LOG_STR("kind", g->kind));
    if (f->events.on_back && !closing_has_begun(&f->closing))
        f->events.on_back(f->events.owner);
}

static struct gate *gate_of(struct fetcher *f, const char *path)
{
    size_t length = strcspn(path, "?");
    for (int i = 0; i < f->kinds_n; i++)
        if (strlen(f->kinds[i].kind) == length && !strncmp(f->kinds[i].kind, path, length))
            return &f->kinds[i];
    assert(f->kinds_n < KINDS_MAX);
    struct gate *g = &f->kinds[f->kinds_n++];
    g->kind = xasprintf("%.*s", (int)length, path);
    breaker_init(&g->breaker);
    return g;
}

enum passage { PASS, WAIT, KEPT_BACK };

static enum passage passage_of(const struct gate *g, int64_t now_ms)
{
    if (breaker_allowed(&g->breaker, now_ms) > 0)
        return PASS;
    return g->breaker.state == BREAKER_PROBING && !g->refuses ? WAIT : KEPT_BACK;
}

static void end_kept_back(struct fetch *fetch, const struct gate *g)
{
    struct err loss = g->loss;
    if (!g->refuses)
        end_fetch(fetch, (struct fetch_answer){.error = &loss, .kept_back = true});
    else
        end_fetch(fetch,
                  (struct fetch_answer){.refusal = g->kind ? FETCH_REFUSED : FETCH_KEY_REFUSED,
                                        .status = loss.code});
}

static void on_answer(void *owner, const struct err *error, const struct http_answer *answer);

static void send_one(struct fetcher *f, struct fetch *fetch)
{
    char *key = xasprintf("Bearer %s", *f->access->key);
    const struct http_header headers[] = {
        {"Authorization", key}, {"Stripe-Version", f->access->version}, {NULL, NULL}};
    const struct http_call call = {.method = "GET",
                                   .url = fetch->url,
                                   .headers = headers,
                                   .connect_timeout_ms = CONNECT_TIMEOUT_MS,
                                   .timeout_ms = TIMEOUT_MS};
    if (f->all.breaker.state == BREAKER_OPEN)
        breaker_probe(&f->all.breaker);
    if (fetch->gate->breaker.state == BREAKER_OPEN)
        breaker_probe(&fetch->gate->breaker);
    stripe_limits_take(&f->limits, 1);
    fetch->sent_ms = clock_unix_ms();
    http_send(f->client, &call, on_answer, fetch);
    free(key);
}

/* Sends it, ends it, or leaves it where it is. Returns false if it was left. */
static bool move_on(struct fetcher *f, struct fetch *fetch, int64_t now_ms)
{
    enum passage all = passage_of(&f->all, now_ms);
    enum passage kind = passage_of(fetch->gate, now_ms);
    if (all == KEPT_BACK)
        end_kept_back(fetch, &f->all);
    else if (kind == KEPT_BACK)
        end_kept_back(fetch, fetch->gate);
    else if (all == PASS && kind == PASS && stripe_limits_available(&f->limits, now_ms) > 0)
        send_one(f, fetch);
    else
        return false;
    return true;
}

static void on_timer(uv_timer_t *timer);

/* In the loop's next turn at the earliest, so that no callback runs inside a call. */
static void look_after(struct fetcher *f, int64_t wait_ms)
{
    uv_update_time(f->timer.loop);
    if (closing_has_begun(&f->closing))
        return;
    if (!uv_is_active((uv_handle_t *)&f->timer) ||
        (int64_t)uv_timer_get_due_in(&f->timer) > wait_ms)
        uv_timer_start(&f->timer, on_timer, (uint64_t)(wait_ms > 0 ? wait_ms : 0), 0);
}

static void ignore_answer(void *owner, const struct fetch_answer *answer)
{
    (void)owner, (void)answer;
}

static struct fetch *fetch_new(struct fetcher *f, struct gate *gate, char *url, fetch_done_fn done,
                               void *owner)
{
    struct fetch *fetch = xcalloc(1, sizeof *fetch);
    *fetch = (struct fetch){.fetcher = f,
                            .gate = gate,
                            .url = url,
                            .begun_ms = clock_monotonic_ms(),
                            .done = done,
                            .owner = owner};
    return fetch;
}

/* A gate whose wait is over, and nobody asks: so do we, that its end is known. Else look again when
 * it is. */
static void probe_gate(struct fetcher *f, struct gate *g, struct gate *kind, int64_t now_ms)
{
    if (g->breaker.state != BREAKER_OPEN)
        return;
    int64_t wait_ms = breaker_wait_ms(&g->breaker, now_ms);
    if (wait_ms == 0)
        wait_ms = stripe_limits_wait_ms(&f->limits, now_ms);
    if (wait_ms > 0)
        look_after(f, wait_ms);
    else if (passage_of(&f->all, now_ms) == PASS && passage_of(kind, now_ms) == PASS)
        send_one(f, fetch_new(f, kind, xstrdup(g->probe), ignore_answer, NULL));
}

static struct gate *kind_of_probe(struct fetcher *f)
{
    const char *base = f->access->base;
    size_t skip = strlen(base);
    while (skip > 0 && base[skip - 1] == '/')
        skip--;
    const char *path = f->all.probe + skip + 1;
    for (int i = 0; i < f->kinds_n; i++)
        if (!strncmp(f->kinds[i].kind, path, strlen(f->kinds[i].kind)))
            return &f->kinds[i];
    return &f->kinds[0];
}

static void send_all(struct fetcher *f)
{
    int64_t now_ms = clock_monotonic_ms();
    struct fetch *fetch = f->first;
    f->first = NULL;
    f->end = &f->first;
    while (fetch) {
        struct fetch *next = fetch->next;
        if (!move_on(f, fetch, now_ms))
            enqueue(fetch);
        fetch = next;
    }
    if (f->first) {
        int64_t wait_ms = stripe_limits_wait_ms(&f->limits, now_ms);
        look_after(f, wait_ms > 0 ? wait_ms : PROBE_MS);
    }
    if (f->all.breaker.state == BREAKER_OPEN)
        probe_gate(f, &f->all, kind_of_probe(f), now_ms);
    for (int i = 0; i < f->kinds_n; i++)
        probe_gate(f, &f->kinds[i], &f->kinds[i], now_ms);
}

static void on_timer(uv_timer_t *timer)
{
    send_all(timer->data);
}

bool fetcher_is_paused(struct fetcher *f)
{
    int64_t now_ms = clock_monotonic_ms();
    if (f->all.breaker.state != BREAKER_CLOSED && !f->all.refuses)
        return true;
    return stripe_limits_wait_ms(&f->limits, now_ms) > PAUSE_MS;
}

static int64_t gate_wait_ms(const struct gate *g, int64_t now_ms)
{
    return g->breaker.state == BREAKER_PROBING ? PROBE_MS : breaker_wait_ms(&g->breaker, now_ms);
}

int64_t fetcher_wait_ms(struct fetcher *f, const char *path)
{
    int64_t now_ms = clock_monotonic_ms();
    int64_t all_ms = gate_wait_ms(&f->all, now_ms);
    int64_t kind_ms = gate_wait_ms(gate_of(f, path), now_ms);
    return all_ms > kind_ms ? all_ms : kind_ms;
}

void fetcher_add_why(const struct fetcher *f, struct buf *why)
{
    static const char LATER[] = ": events are stored and worked later\n";
    const struct gate *all = &f->all;
    if (all->breaker.state != BREAKER_CLOSED && all->refuses)
        buf_printf(why, "stripe: refuses our key (%d): events are worked as without a key\n",
                   all->loss.code);
    else if (all->breaker.state != BREAKER_CLOSED)
        buf_printf(why, "stripe: cannot be reached%s", LATER);
    for (int i = 0; i < f->kinds_n; i++) {
        const struct gate *g = &f->kinds[i];
        if (g->breaker.state == BREAKER_CLOSED)
            continue;
        if (g->refuses)
            buf_printf(why,
                       "stripe: our key may not read %s (%d): their events are worked as without "
                       "a key\n",
                       g->kind, g->loss.code);
        else
            buf_printf(why, "stripe: %s cannot be read%s", g->kind, LATER);
    }
    if (why->length == 0 && f->loss.kind != ERR_NONE)
        buf_printf(why, "stripe: cannot be reached, or answers with errors%s", LATER);
}

/* Answers. */

static json_t *read_object(const struct http_answer *answer, struct err *e)
{
    json_t *object = stripe_json_load(answer->body, answer->body_length);
    if (json_is_object(object))
        return object;
    json_decref(object);
    err_set(e, ERR_INPUT, "Stripe's answer is not a JSON object");
    e->retry = true;
    return NULL;
}

/* Returns true if the call goes out again. */
static bool repeat_if_limited(struct fetch *fetch, const struct http_answer *answer,
                              const struct err *e)
{
    struct fetcher *f = fetch->fetcher;
    if (!stripe_answer_is_limited(answer, &f->limits, e))
        return false;
    int64_t now_ms = clock_monotonic_ms();
    int64_t next_ms = now_ms + stripe_limits_wait_ms(&f->limits, now_ms);
    if (closing_has_begun(&f->closing) || next_ms - fetch->begun_ms > PATIENCE_MS)
        return false;
    fetch->sent_ms = 0;
    enqueue(fetch);
    return true;
}

/* No answer came, or one that may be another one later. */
static void fail(struct fetch *fetch, const struct err *e, bool answered)
{
    struct fetcher *f = fetch->fetcher;
    struct gate *g = fetch->gate;
    bool unsent = e->kind == ERR_CONNECT || e->kind == ERR_TLS;
    if (e->kind != ERR_CANCELED) {
        report_lost(f, e);
        if (answered && e->code >= 400)
            close_gate(f, &f->all);
        else if (unsent || f->all.breaker.state == BREAKER_PROBING)
            open_gate(f, &f->all, false, fetch, e);
        /* A conflict is about one object. */
        if (!unsent && e->code != CONFLICT &&
            (++g->failures >= FAILURES || g->breaker.state == BREAKER_PROBING))
            open_gate(f, g, false, fetch, e);
    }
    breaker_forget(&g->breaker, clock_monotonic_ms());
    bool kept_back = f->all.breaker.state != BREAKER_CLOSED || g->breaker.state != BREAKER_CLOSED;
    struct err error = *e;
    end_fetch(fetch, (struct fetch_answer){.error = &error, .kept_back = kept_back});
}

static void refuse_key(struct fetch *fetch, const struct err *e)
{
    struct fetcher *f = fetch->fetcher;
    report_lost(f, e);
    open_gate(f, &f->all, true, fetch, e);
    breaker_forget(&fetch->gate->breaker, clock_monotonic_ms());
    end_fetch(fetch, (struct fetch_answer){.refusal = FETCH_KEY_REFUSED, .status = e->code});
}

static void refuse(struct fetch *fetch, const struct err *e)
{
    struct fetcher *f = fetch->fetcher;
    uint64_t suppressed;
    report_answered(f);
    close_gate(f, &f->all);
    if (e->code == FORBIDDEN) {
        open_gate(f, fetch->gate, true, fetch, e);
    } else {
        close_gate(f, fetch->gate);
        if (log_repeat_failed(&f->refusals, clock_monotonic_ms(), &suppressed))
            log_warn(fetch_refused, LOG_STR("kind", fetch->gate->kind),
                     LOG_U64("held_back", suppressed), LOG_ERR(e));
    }
    end_fetch(fetch, (struct fetch_answer){.refusal = FETCH_REFUSED, .status = e->code});
}

static void answer_fetch(struct fetch *fetch, json_t *object)
{
    struct fetcher *f = fetch->fetcher;
    report_answered(f);
    close_gate(f, &f->all);
    close_gate(f, fetch->gate);
    end_fetch(fetch, (struct fetch_answer){.object = object});
}

static void take_answer(struct fetch *fetch, const struct http_answer *answer)
{
    struct err e = {0};
    json_t *object = answer->status == 200 ? read_object(answer, &e) : NULL;
    if (answer->status != 200 && answer->status != NOT_FOUND)
        stripe_answer_error(answer, &e);
    metric_observe(metric_with(METRIC_OF_STRIPE_SECONDS, "fetch"), answer->elapsed_ms);
    metric_count(METRIC_OF_STRIPE_REQUESTS,
                 stripe_answer_outcome(answer->status, e.kind == ERR_NONE));
    if (e.kind == ERR_NONE)
        answer_fetch(fetch, object);
    else if (answer->status == UNAUTHORIZED)
        refuse_key(fetch, &e);
    else if (answer->status >= 400 && !e.retry)
        refuse(fetch, &e);
    else if (answer->status != TOO_MANY_REQUESTS)
        fail(fetch, &e, true);
    else {
        struct gate *g = fetch->gate;
        report_answered(fetch->fetcher);
        close_gate(fetch->fetcher, &fetch->fetcher->all);
        breaker_forget(&g->breaker, clock_monotonic_ms());
        if (!repeat_if_limited(fetch, answer, &e))
            end_fetch(fetch, (struct fetch_answer){.error = &e});
    }
    json_decref(object);
}

static void on_answer(void *owner, const struct err *error, const struct http_answer *answer)
{
    struct fetch *fetch = owner;
    struct fetcher *f = fetch->fetcher;
    if (answer) {
        take_answer(fetch, answer);
    } else {
        metric_count(METRIC_OF_STRIPE_REQUESTS, "failed");
        fail(fetch, error, false);
    }
    look_after(f, 0);
}

static char *make_url(const struct fetcher *f, const char *path, const char *id, const char *query)
{
    struct buf url = {0};
    const char *base = f->access->base;
    size_t length = strlen(base);
    while (length > 0 && base[length - 1] == '/')
        length--;
    buf_add(&url, base, length);
    buf_printf(&url, "/%s", path);
    if (id) {
        buf_add_str(&url, "/");
        buf_add_urlencoded(&url, id, strlen(id));
    }
    buf_add_str(&url, query);
    return buf_take(&url);
}

/* One that waits for the same is served by one call: it will be made later than both asked. */
static struct fetch *find_waiting(const struct fetcher *f, const char *url)
{
    for (struct fetch *fetch = f->first; fetch; fetch = fetch->next)
        if (strcmp(fetch->url, url) == 0)
            return fetch;
    return NULL;
}

/* url: taken. */
static void get(struct fetcher *f, const char *path, char *url, fetch_done_fn done, void *owner)
{
    assert(!closing_has_begun(&f->closing));
    struct fetch *waiting = find_waiting(f, url);
    struct fetch *fetch = fetch_new(f, gate_of(f, path), url, done, owner);
    if (waiting) {
        fetch->twin = waiting->twin;
        waiting->twin = fetch;
        return;
    }
    enqueue(fetch);
    look_after(f, 0);
}

/* A coupon stands in a discount's `source` from clover on. */
static bool has_source(const struct fetcher *f)
{
    return strcmp(f->access->version, "2025-09-30") >= 0;
}

/* Of a subscription: its newest invoice tells when a payment of it was first tried. Tiers and
 * coupons tell what it earns, and no event has them. */
static const char *expanded(const struct fetcher *f)
{
    return has_source(f) ? "?expand[]=latest_invoice&expand[]=items.data.price.tiers"
                           "&expand[]=discounts.source.coupon"
                         : "?expand[]=latest_invoice&expand[]=items.data.price.tiers"
                           "&expand[]=discounts";
}

/* Stripe expands four levels at most, so no tiers. */
const char *fetcher_expand_listed(const struct fetcher *f)
{
    return has_source(f) ? "&expand[]=data.latest_invoice&expand[]=data.discounts.source.coupon"
                         : "&expand[]=data.latest_invoice&expand[]=data.discounts";
}

void fetcher_get(struct fetcher *f, const char *path, const char *id, fetch_done_fn done,
                 void *owner)
{
    assert(stripe_is_id(id));
    const char *query = strcmp(path, "v1/subscriptions") == 0 ? expanded(f)
                        : strcmp(path, "v1/prices") == 0      ? "?expand[]=tiers"
                                                              : "";
    get(f, path, make_url(f, path, id, query), done, owner);
}

void fetcher_list(struct fetcher *f, const char *path, fetch_done_fn done, void *owner)
{
    get(f, path, make_url(f, path, NULL, ""), done, owner);
}

/* Opening and closing. */

struct fetcher *fetcher_open(uv_loop_t *loop, const struct stripe_access *access, int connections,
                             struct fetcher_events events)
{
    struct fetcher *f = xcalloc(1, sizeof *f);
    f->access = access;
    f->events = events;
    f->end = &f->first;
    breaker_init(&f->all.breaker);
    f->client = http_client_open(loop, "meterline/" METERLINE_VERSION, connections, BODY_MAX_BYTES);
    metric_with(METRIC_OF_STRIPE_REQUESTS, "account_refused"); /* only what stood at 0 rises */
    metric_set(metric_with(METRIC_OF_PEER_UP, "stripe"), 1);   /* until a call tells otherwise */
    stripe_limits_init(&f->limits, access->rate_per_s, clock_monotonic_ms());
    uv_timer_init(loop, &f->timer);
    f->timer.data = f;
    return f;
}

/* Fetches that still wait are canceled last: their owners stay until they are answered. */
static void release(void *self)
{
    struct fetcher *f = self;
    struct err e;
    err_set(&e, ERR_CANCELED, "closed before Stripe was asked");
    while (f->first) {
        struct fetch *fetch = f->first;
        f->first = fetch->next;
        end_fetch(fetch, (struct fetch_answer){.error = &e});
    }
    for (int i = 0; i < f->kinds_n; i++) {
        free(f->kinds[i].kind);
        free(f->kinds[i].probe);
    }
    free(f->all.probe);
    free(f);
}

void fetcher_close(struct fetcher *f)
{
    closing_begin(&f->closing, f, release, NULL, NULL);
    closing_handle(&f->closing, &f->timer);
    http_client_close(f->client, closing_part_closed, closing_part(&f->closing));
    closing_end(&f->closing);
}
