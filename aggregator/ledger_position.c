/* The position in the stream: lease, epochs, what was lost. */
#include "aggregator/ledger.h"

#include "aggregator/sql.h"

#include <stdio.h>
#include <stdlib.h>

static uint64_t get_u64_text(const PGresult *r, int column)
{
    return strtoull(PQgetvalue(r, 0, column), NULL, 10);
}

static void take_acquired(void *owner, const struct err *error, PGresult **results, int n)
{
    struct ledger *l = owner;

    (void)n;
    l->owned = error == NULL && PQntuples(results[0]) == 1;
    if (l->owned) {
        const PGresult *r = results[0];

        /* A restored database counts versions again that we have seen: do not compare with them. */
        periods_forget_all(l->periods);
        l->position = (struct position){.epoch = atoi(PQgetvalue(r, 0, 0)),
                                        .base = get_u64_text(r, 2),
                                        .processed = (int64_t)get_u64_text(r, 3),
                                        .lost = (int64_t)get_u64_text(r, 4),
                                        .batches = (int64_t)get_u64_text(r, 5),
                                        .added_seen = get_u64_text(r, 6)};
        snprintf(l->position.last_id, sizeof l->position.last_id, "%s", PQgetvalue(r, 0, 1));
    }
    ledger_finish(l, error);
}

void ledger_acquire(struct ledger *l, ledger_done_fn done, void *owner)
{
    struct pg_statement s;

    ledger_start(l, done, owner, NULL);
    pg_statement_init(&s, SQL_ACQUIRE_STREAM);
    pg_add_text(&s, l->stream);
    pg_add_text(&s, l->owner);
    pg_run(l->pg, &s, 1, LEDGER_DEADLINE_MS, take_acquired, l);
}

static void take_released(void *owner, const struct err *error, PGresult **results, int n)
{
    struct ledger *l = owner;

    (void)results;
    (void)n;
    l->owned = false;
    ledger_finish(l, error);
}

void ledger_release(struct ledger *l, ledger_done_fn done, void *owner)
{
    struct pg_statement s;

    ledger_start(l, done, owner, NULL);
    pg_statement_init(&s, SQL_RELEASE_STREAM);
    pg_add_text(&s, l->stream);
    pg_add_text(&s, l->owner);
    pg_run(l->pg, &s, 1, LEDGER_DEADLINE_MS, take_released, l);
}

/* A change of our own row: no row means that it is ours no more. */
static bool is_fenced(struct ledger *l, const struct err *error, PGresult **results)
{
    struct err e;

    if (error == NULL && PQntuples(results[0]) == 1)
        return false;
    if (error == NULL) {
        err_set(&e, ERR_FENCED, "stream %s is owned by another process or was moved", l->stream);
        error = &e;
    }
    ledger_finish(l, error);
    return true;
}

static void take_epoch(void *owner, const struct err *error, PGresult **results, int n)
{
    struct ledger *l = owner;
    uint64_t base = l->position.added_seen;

    (void)n;
    if (is_fenced(l, error, results))
        return;
    l->position = (struct position){.epoch = atoi(PQgetvalue(results[0], 0, 0)),
                                    .last_id = "0-0",
                                    .base = base,
                                    .added_seen = base,
                                    .lost = 0,
                                    .batches = l->position.batches};
    ledger_finish(l, NULL);
}

void ledger_open_epoch(struct ledger *l, uint64_t base, const char *reason, ledger_done_fn done,
                       void *owner)
{
    struct pg_statement s;
    char epoch[16];
    char text[32];

    ledger_start(l, done, owner, NULL);
    snprintf(epoch, sizeof epoch, "%d", l->position.epoch);
    snprintf(text, sizeof text, "%llu", (unsigned long long)base);
    pg_statement_init(&s, SQL_OPEN_EPOCH);
    pg_add_text(&s, l->stream);
    pg_add_text(&s, l->owner);
    pg_add_text(&s, epoch);
    pg_add_text(&s, l->position.last_id);
    pg_add_text(&s, text);
    pg_add_text(&s, reason);
    l->position.added_seen = base;
    pg_run(l->pg, &s, 1, LEDGER_DEADLINE_MS, take_epoch, l);
}

static void take_lost(void *owner, const struct err *error, PGresult **results, int n)
{
    struct ledger *l = owner;

    (void)n;
    if (is_fenced(l, error, results))
        return;
    l->position.lost = (int64_t)get_u64_text(results[0], 0);
    ledger_finish(l, NULL);
}

void ledger_book_lost(struct ledger *l, int64_t entries, ledger_done_fn done, void *owner)
{
    struct pg_statement s;
    char epoch[16];
    char text[32];

    ledger_start(l, done, owner, NULL);
    snprintf(epoch, sizeof epoch, "%d", l->position.epoch);
    snprintf(text, sizeof text, "%lld", (long long)entries);
    pg_statement_init(&s, SQL_BOOK_LOST);
    pg_add_text(&s, l->stream);
    pg_add_text(&s, l->owner);
    pg_add_text(&s, epoch);
    pg_add_text(&s, l->position.last_id);
    pg_add_text(&s, text);
    pg_run(l->pg, &s, 1, LEDGER_DEADLINE_MS, take_lost, l);
}

static void take_days(void *owner, const struct err *error, PGresult **results, int n)
{
    (void)results;
    (void)n;
    ledger_finish(owner, error);
}

void ledger_ensure_days(struct ledger *l, ledger_done_fn done, void *owner)
{
    struct pg_statement s;

    ledger_start(l, done, owner, NULL);
    pg_statement_init(&s, SQL_ENSURE_PARTITIONS);
    pg_run(l->pg, &s, 1, LEDGER_DEADLINE_MS, take_days, l);
}

static void take_base(void *owner, const struct err *error, PGresult **results, int n)
{
    struct ledger *l = owner;

    (void)n;
    if (is_fenced(l, error, results))
        return;
    l->position.base = l->position.added_seen;
    ledger_finish(l, NULL);
}

void ledger_set_base(struct ledger *l, uint64_t base, ledger_done_fn done, void *owner)
{
    struct pg_statement s;
    char text[32];

    ledger_start(l, done, owner, NULL);
    snprintf(text, sizeof text, "%llu", (unsigned long long)base);
    pg_statement_init(&s, SQL_FIRST_BASE);
    pg_add_text(&s, l->stream);
    pg_add_text(&s, l->owner);
    pg_add_text(&s, text);
    l->position.added_seen = base;
    pg_run(l->pg, &s, 1, LEDGER_DEADLINE_MS, take_base, l);
}
