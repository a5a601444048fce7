#include "api/stripe/stripe_work.h"

#include "api/sql.h"
#include "common/closing.h"
#include "common/pg/pg_array.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RENEW_MS = 1500, DEADLINE_MS = 5000, CONNECTIONS = 16 };
/* As in webhookd: Stripe allows 25 calls a second in test mode, and 100 in live mode. */
enum { RATE_TEST_PER_S = 20, RATE_LIVE_PER_S = 40 };

struct hold {
    const char *owner;
    struct hold *next;
};

struct pause {
    struct stripe_work *work;
    uv_timer_t timer;
    void (*over)(void *owner);
    void *owner;
    struct pause *next;
    struct pause *previous;
};

struct stripe_work {
    const struct context *context;
    struct stripe_access access;
    struct stripe_calls *calls;
    struct hold *holds;
    struct pause *pauses;
    int kept; /* pauses that are not freed yet */
    uv_timer_t timer;
    bool is_renewing;
    bool is_closing; /* or closed */
    struct closing closing;
};

/* Locks. */

void stripe_work_hold(struct stripe_work *w, const char *owner)
{
    struct hold *h = xcalloc(1, sizeof *h);
    *h = (struct hold){.owner = owner, .next = w->holds};
    w->holds = h;
}

void stripe_work_forget(struct stripe_work *w, const char *owner)
{
    for (struct hold **at = &w->holds; *at; at = &(*at)->next)
        if (!strcmp((*at)->owner, owner)) {
            struct hold *h = *at;
            *at = h->next;
            free(h);
            return;
        }
}

/* What fails is repaired by the leases. */
static void ignore_result(void *owner, const struct err *error, PGresult **results, int n)
{
    (void)owner, (void)error, (void)results, (void)n;
}

void stripe_work_drop(struct stripe_work *w, const char *tenant, const char *owner)
{
    struct pg_statement s;
    stripe_work_forget(w, owner);
    if (w->is_closing)
        return;
    pg_statement_init(&s, SQL_DROP_TENANT_LOCK);
    pg_add_text(&s, tenant);
    pg_add_text(&s, owner);
    pg_pool_run(w->context->pool, &s, 1, DEADLINE_MS, ignore_result, NULL);
}

static void take_renewed(void *owner, const struct err *error, PGresult **results, int n)
{
    struct stripe_work *w = owner;
    (void)error, (void)results, (void)n;
    w->is_renewing = false;
    if (closing_has_begun(&w->closing))
        closing_part_closed(&w->closing);
}

static void on_renew(uv_timer_t *timer)
{
    struct stripe_work *w = timer->data;
    struct pg_statement s;
    struct pg_array owners;
    char lease[12];
    if (!w->holds || w->is_renewing)
        return;
    pg_array_init(&owners, PG_TEXT);
    for (const struct hold *h = w->holds; h; h = h->next)
        pg_array_add_text(&owners, h->owner);
    (void)snprintf(lease, sizeof lease, "%d", TENANT_LEASE_MS);
    pg_statement_init(&s, SQL_RENEW_TENANT_LOCKS);
    pg_add_array(&s, &owners);
    pg_add_text(&s, lease);
    w->is_renewing = true;
    pg_pool_run(w->context->pool, &s, 1, DEADLINE_MS, take_renewed, w);
    pg_array_done(&owners);
}

/* Waiting. */

static void on_pause_closed(uv_handle_t *handle)
{
    struct pause *p = handle->data;
    struct stripe_work *w = p->work;
    free(p);
    w->kept--;
    if (closing_has_begun(&w->closing))
        closing_part_closed(&w->closing);
}

static void end_pause(struct pause *p)
{
    struct stripe_work *w = p->work;
    if (p->previous)
        p->previous->next = p->next;
    else
        w->pauses = p->next;
    if (p->next)
        p->next->previous = p->previous;
    uv_close((uv_handle_t *)&p->timer, on_pause_closed);
    p->over(p->owner);
}

static void on_pause(uv_timer_t *timer)
{
    end_pause(timer->data);
}

void stripe_work_pause(struct stripe_work *w, uint64_t ms, void (*over)(void *owner), void *owner)
{
    assert(!w->is_closing);
    struct pause *p = xcalloc(1, sizeof *p);
    *p = (struct pause){.work = w, .over = over, .owner = owner, .next = w->pauses};
    if (w->pauses)
        w->pauses->previous = p;
    w->pauses = p;
    w->kept++;
    uv_timer_init(w->timer.loop, &p->timer);
    p->timer.data = p;
    uv_update_time(p->timer.loop);
    uv_timer_start(&p->timer, on_pause, ms, 0);
}

/* Opening and closing. */

struct stripe_work *stripe_work_open(const struct context *context)
{
    const struct config *config = context->config;
    struct stripe_work *w = xcalloc(1, sizeof *w);
    int64_t rate = config->stripe_live ? RATE_LIVE_PER_S : RATE_TEST_PER_S;
    w->context = context;
    w->access = (struct stripe_access){
        .key = &config->stripe_secret_key,
        .base = config->stripe_api_base,
        .version = config->stripe_api_version,
        .rate_per_s = config->stripe_rate_per_s > 0 ? config->stripe_rate_per_s : rate};
    uv_timer_init(stage_loop(context->stage), &w->timer);
    w->timer.data = w;
    uv_timer_start(&w->timer, on_renew, RENEW_MS, RENEW_MS);
    if (config->stripe_secret_key)
        w->calls = stripe_calls_open(stage_loop(context->stage), &w->access, CONNECTIONS);
    return w;
}

struct stripe_calls *stripe_work_calls(const struct stripe_work *w)
{
    return w->calls;
}

struct stripe_calls *stripe_work_open_calls(const struct stripe_work *w)
{
    return w->is_closing ? NULL : w->calls;
}

bool stripe_work_is_closing(const struct stripe_work *w)
{
    return w->is_closing;
}

void stripe_work_add_why(const struct stripe_work *w, struct buf *why)
{
    if (w->calls)
        stripe_calls_add_why(w->calls, why);
}

/* Requests that wait for PostgreSQL still know it: stripe_work_free comes last. */
static void keep(void *self)
{
    (void)self;
}

void stripe_work_free(struct stripe_work *w)
{
    while (w->holds)
        stripe_work_forget(w, w->holds->owner);
    free(w);
}

void stripe_work_close(struct stripe_work *w, void (*closed)(void *owner), void *owner)
{
    w->is_closing = true;
    closing_begin(&w->closing, w, keep, closed, owner);
    for (int i = 0; i < w->kept; i++)
        closing_part(&w->closing);
    if (w->is_renewing)
        closing_part(&w->closing);
    while (w->pauses)
        end_pause(w->pauses);
    if (w->calls)
        stripe_calls_close(w->calls, closing_part_closed, closing_part(&w->closing));
    closing_handle(&w->closing, &w->timer);
    closing_end(&w->closing);
}
