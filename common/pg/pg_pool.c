#include "common/pg/pg_pool.h"

#include "common/clock.h"
#include "common/closing.h"
#include "common/str.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { WAITING_MAX = 2000, LOOK_EVERY_MS = 250 };

struct member {
    struct pg_pool *pool;
    struct pg *pg;
    bool is_taken;
};

/* Who waits for a connection. */
struct waiter {
    pg_taken_fn taken;
    void *owner;
    int64_t until_ms; /* monotonic */
    struct waiter *next;
};

struct pg_pool {
    struct member members[PG_POOL_MAX];
    int size;
    int taken;
    struct waiter *first; /* oldest first */
    struct waiter *last;
    int waiting;
    uv_timer_t timer; /* runs while somebody waits */
    struct pg_events events;
    struct closing closing;
};

/* What pg_pool_run keeps until done. */
struct run {
    struct pg_pool *pool;
    struct pg *pg;
    struct pg_statement *statements; /* copies; NULL: it did not have to wait */
    int n;
    uint64_t deadline_ms;
    pg_done_fn done;
    void *owner;
};

static struct member *find_free(struct pg_pool *pool)
{
    if (closing_has_begun(&pool->closing))
        return NULL;
    for (int i = 0; i < pool->size; i++)
        if (!pool->members[i].is_taken && pg_is_ready(pool->members[i].pg))
            return &pool->members[i];
    return NULL;
}

static struct waiter pop(struct pg_pool *pool)
{
    struct waiter *w = pool->first;
    struct waiter copy = *w;
    pool->first = w->next;
    if (!pool->first)
        pool->last = NULL;
    pool->waiting--;
    free(w);
    return copy;
}

static void serve(struct pg_pool *pool)
{
    struct member *m;
    while (pool->first && !closing_has_begun(&pool->closing) && (m = find_free(pool))) {
        struct waiter w = pop(pool);
        m->is_taken = true;
        pool->taken++;
        w.taken(w.owner, m->pg, NULL);
    }
    if (!pool->first)
        uv_timer_stop(&pool->timer);
}

static void on_timer(uv_timer_t *timer)
{
    struct pg_pool *pool = timer->data;
    int64_t now_ms = clock_monotonic_ms();
    struct err e;
    /* Deadlines differ little, so the oldest one passes first. */
    while (pool->first && pool->first->until_ms <= now_ms) {
        struct waiter w = pop(pool);
        if (w.until_ms == 0)
            err_set(&e, ERR_REFUSED, "too many statements wait for PostgreSQL");
        else
            err_set(&e, ERR_TIMEOUT, "no connection to PostgreSQL was free in time");
        e.retry = true;
        w.taken(w.owner, NULL, &e);
    }
    serve(pool);
}

static void on_up(void *owner)
{
    struct member *m = owner;
    serve(m->pool);
    if (m->pool->events.on_up)
        m->pool->events.on_up(m->pool->events.owner);
}

static void on_down(void *owner, const struct err *error)
{
    struct member *m = owner;
    if (m->pool->events.on_down)
        m->pool->events.on_down(m->pool->events.owner, error);
}

struct pg_pool *pg_pool_open(uv_loop_t *loop, const char *url, const char *role,
                             const char *application_name, int size, struct pg_events events)
{
    assert(size >= 1 && size <= PG_POOL_MAX);
    struct pg_pool *pool = xcalloc(1, sizeof *pool);
    pool->size = size;
    pool->events = events;
    uv_timer_init(loop, &pool->timer);
    pool->timer.data = pool;
    for (int i = 0; i < size; i++) {
        struct member *m = &pool->members[i];
        m->pool = pool;
        m->pg = pg_open(loop, url, role, application_name,
                        (struct pg_events){.on_up = on_up, .on_down = on_down, .owner = m});
    }
    return pool;
}

bool pg_pool_is_up(const struct pg_pool *pool)
{
    for (int i = 0; i < pool->size; i++)
        if (pg_is_up(pool->members[i].pg))
            return true;
    return false;
}

bool pg_pool_is_idle(const struct pg_pool *pool)
{
    return pool->taken == 0 && pool->waiting == 0;
}

void pg_pool_take(struct pg_pool *pool, uint64_t deadline_ms, pg_taken_fn taken, void *owner)
{
    struct member *m = pool->first ? NULL : find_free(pool);
    struct err e;
    if (closing_has_begun(&pool->closing)) {
        err_set(&e, ERR_CANCELED, "PostgreSQL was asked while closing");
        taken(owner, NULL, &e);
        return;
    }
    if (m) {
        m->is_taken = true;
        pool->taken++;
        taken(owner, m->pg, NULL);
        return;
    }
    struct waiter *w = xcalloc(1, sizeof *w);
    *w = (struct waiter){
        .taken = taken, .owner = owner, .until_ms = clock_monotonic_ms() + (int64_t)deadline_ms};
    if (pool->waiting >= WAITING_MAX) {
        /* Refused in the next turn of the loop: before all others, which stay in their order. */
        w->until_ms = 0;
        w->next = pool->first;
        pool->first = w;
        uv_timer_start(&pool->timer, on_timer, 0, LOOK_EVERY_MS);
    } else {
        if (pool->last)
            pool->last->next = w;
        else
            pool->first = w;
        pool->last = w;
    }
    if (pool->waiting++ == 0)
        uv_timer_start(&pool->timer, on_timer, LOOK_EVERY_MS, LOOK_EVERY_MS);
}

void pg_pool_give(struct pg_pool *pool, struct pg *pg)
{
    for (int i = 0; i < pool->size; i++) {
        struct member *m = &pool->members[i];
        if (m->pg != pg)
            continue;
        assert(m->is_taken);
        m->is_taken = false;
        pool->taken--;
        serve(pool);
        return;
    }
    abort(); /* it is no connection of this pool */
}

/* Statements that wait. Their values are put behind each other into one piece of memory. */

struct pg_statement *pg_copy_statements(const struct pg_statement *statements, int n)
{
    size_t bytes = (size_t)n * sizeof *statements;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < statements[i].params; k++)
            if (statements[i].values[k])
                bytes += statements[i].formats[k] ? (size_t)statements[i].lengths[k]
                                                  : strlen(statements[i].values[k]) + 1;
    struct pg_statement *copies = xmalloc(bytes);
    char *at = (char *)(copies + n);
    memcpy(copies, statements, (size_t)n * sizeof *statements);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < copies[i].params; k++) {
            if (!copies[i].values[k])
                continue;
            size_t length = copies[i].formats[k] ? (size_t)copies[i].lengths[k]
                                                 : strlen(copies[i].values[k]) + 1;
            memcpy(at, copies[i].values[k], length);
            copies[i].values[k] = at;
            at += length;
        }
    return copies;
}

/* The connection is given back first, so that done finds it free. */
static void on_run_done(void *owner, const struct err *error, PGresult **results, int n)
{
    struct run run = *(struct run *)owner;
    free(owner);
    pg_pool_give(run.pool, run.pg);
    run.done(run.owner, error, results, n);
}

static void on_run_taken(void *owner, struct pg *pg, const struct err *error)
{
    struct run *run = owner;
    if (!pg) {
        pg_done_fn done = run->done;
        void *of = run->owner;
        free(run->statements);
        free(run);
        done(of, error, NULL, 0);
        return;
    }
    run->pg = pg;
    pg_run(pg, run->statements, run->n, run->deadline_ms, on_run_done, run);
    free(run->statements);
    run->statements = NULL;
}

void pg_pool_run(struct pg_pool *pool, const struct pg_statement *statements, int n,
                 uint64_t deadline_ms, pg_done_fn done, void *owner)
{
    struct run *run = xcalloc(1, sizeof *run);
    struct member *m = pool->first ? NULL : find_free(pool);
    *run = (struct run){
        .pool = pool, .n = n, .deadline_ms = deadline_ms, .done = done, .owner = owner};
    if (m) {
        m->is_taken = true;
        pool->taken++;
        run->pg = m->pg;
        pg_run(m->pg, statements, n, deadline_ms, on_run_done, run);
        return;
    }
    run->statements = pg_copy_statements(statements, n);
    pg_pool_take(pool, deadline_ms, on_run_taken, run);
}

void pg_pool_close(struct pg_pool *pool, void (*closed)(void *owner), void *owner)
{
    struct err e;
    err_set(&e, ERR_CANCELED, "closed while waiting for PostgreSQL");
    closing_begin(&pool->closing, pool, free, closed, owner);
    while (pool->first) {
        struct waiter w = pop(pool);
        w.taken(w.owner, NULL, &e);
    }
    closing_handle(&pool->closing, &pool->timer);
    for (int i = 0; i < pool->size; i++)
        pg_close(pool->members[i].pg, closing_part_closed, closing_part(&pool->closing));
    closing_end(&pool->closing);
}
