/* The position up to which a stream is counted: reading it with the lease, renewing and releasing
 * the lease, opening epochs (common/redis/epoch_mark.h) and booking what was lost. */
#include "aggregator/ledger/ledger.h"

#include "aggregator/sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t get_u64_text(const PGresult *r, int column)
{
    return strtoull(PQgetvalue(r, 0, column), NULL, 10);
}

uint64_t position_accounted(const struct position *p)
{
    return p->base + (uint64_t)(p->processed + p->lost);
}

void position_note_marked(struct position *p, struct entry_id last, uint64_t accounted)
{
    p->marked_known = true;
    p->marked_last = last;
    p->marked_accounted = accounted;
}

bool ledger_knows_epoch(const struct ledger *l, const char *token)
{
    return l->ended_tokens.length > 0 && strstr(l->ended_tokens.data, token);
}

static void copy_text(char *out, size_t size, const PGresult *r, int column)
{
    snprintf(out, size, "%s", PQgetvalue(r, 0, column)); /* "" where it is NULL */
}

static void take_epochs(struct ledger *l, const PGresult *r)
{
    struct epoch_mark *mark = &l->position.mark;
    copy_text(mark->token, sizeof mark->token, r, 7);
    copy_text(mark->ended, sizeof mark->ended, r, 10);
    mark->ended_added = (int64_t)get_u64_text(r, 11);
    mark->epoch = l->position.epoch;
    mark->base = l->position.base;
    copy_text(mark->ledger, sizeof mark->ledger, r, 13);
    mark->takeovers = atoi(PQgetvalue(r, 0, 14));
    /* A restored ledger may have forgotten its last one, which the stream remembers. */
    if (l->takeovers_seen > mark->takeovers)
        mark->takeovers = l->takeovers_seen;
    copy_text(l->position.reset_token, sizeof l->position.reset_token, r, 8);
    copy_text(l->position.repeats_until, sizeof l->position.repeats_until, r, 9);
    buf_clear(&l->ended_tokens);
    buf_printf(&l->ended_tokens, "%s", PQgetvalue(r, 0, 12));
}

/* What Redis told us of this epoch since the last commit is kept: it may have lost that. */
static void keep_seen(struct position *p, const struct position *before)
{
    if (strcmp(before->mark.token, p->mark.token) != 0)
        return;
    if (before->added_seen > p->added_seen)
        p->added_seen = before->added_seen;
    if (before->marked_known)
        position_note_marked(p, before->marked_last, before->marked_accounted);
}

static void take_acquired(void *owner, const struct err *error, PGresult **results, int n)
{
    struct ledger *l = owner;
    (void)n;
    l->owned = !error && PQntuples(results[0]) == 1;
    if (l->owned) {
        const PGresult *r = results[0];
        struct position before = l->position;
        l->position = (struct position){.epoch = atoi(PQgetvalue(r, 0, 0)),
                                        .base = get_u64_text(r, 2),
                                        .processed = (int64_t)get_u64_text(r, 3),
                                        .lost = (int64_t)get_u64_text(r, 4),
                                        .batches = (int64_t)get_u64_text(r, 5),
                                        .added_seen = get_u64_text(r, 6)};
        copy_text(l->position.last_id, sizeof l->position.last_id, r, 1);
        take_epochs(l, r);
        keep_seen(&l->position, &before);
    }
    ledger_finish(l, error);
}

void ledger_acquire(struct ledger *l, ledger_done_fn done, void *owner)
{
    ledger_start(l, done, owner, NULL);
    struct pg_statement s;
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
    ledger_start(l, done, owner, NULL);
    struct pg_statement s;
    pg_statement_init(&s, SQL_RELEASE_STREAM);
    pg_add_text(&s, l->stream);
    pg_add_text(&s, l->owner);
    pg_run(l->pg, &s, 1, LEDGER_DEADLINE_MS, take_released, l);
}

/* After a change of our own row: no row means that another process owns the stream. */
static void take_changed(void *owner, const struct err *error, PGresult **results, int n)
{
    struct ledger *l = owner;
    (void)n;
    struct err e;
    if (!error && PQntuples(results[0]) != 1) {
        err_set(&e, ERR_FENCED, "stream %s is owned by another process or was moved", l->stream);
        error = &e;
    }
    ledger_finish(l, error);
}

void ledger_open_epoch(struct ledger *l, const struct epoch_change *change, ledger_done_fn done,
                       void *owner)
{
    ledger_start(l, done, owner, NULL);
    char numbers[4][32];
    snprintf(numbers[0], sizeof numbers[0], "%d", l->position.epoch);
    snprintf(numbers[1], sizeof numbers[1], "%lld", (long long)change->gone);
    snprintf(numbers[2], sizeof numbers[2], "%llu", (unsigned long long)change->base);
    snprintf(numbers[3], sizeof numbers[3], "%lld", (long long)change->lost);
    char start[ENTRY_ID_TEXT_SIZE];
    entry_id_format(change->start, start);
    char repeats_until[ENTRY_ID_TEXT_SIZE];
    entry_id_format(change->repeats_until, repeats_until);
    struct pg_statement s;
    pg_statement_init(&s, SQL_OPEN_EPOCH);
    pg_add_text(&s, l->stream);
    pg_add_text(&s, l->owner);
    pg_add_text(&s, numbers[0]);
    pg_add_text(&s, l->position.last_id);
    pg_add_text(&s, change->reason);
    pg_add_text(&s, numbers[1]);
    pg_add_text(&s, start);
    pg_add_text(&s, numbers[2]);
    pg_add_text(&s, numbers[3]);
    pg_add_text(&s, repeats_until);
    pg_add_text(&s, change->token);
    pg_add_text(&s, change->hold ? "true" : "false");
    pg_run(l->pg, &s, 1, LEDGER_DEADLINE_MS, take_changed, l);
}

void ledger_book_lost(struct ledger *l, int64_t entries, ledger_done_fn done, void *owner)
{
    ledger_start(l, done, owner, NULL);
    char epoch[16];
    snprintf(epoch, sizeof epoch, "%d", l->position.epoch);
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)entries);
    struct pg_statement s;
    pg_statement_init(&s, SQL_BOOK_LOST);
    pg_add_text(&s, l->stream);
    pg_add_text(&s, l->owner);
    pg_add_text(&s, epoch);
    pg_add_text(&s, l->position.last_id);
    pg_add_text(&s, text);
    pg_run(l->pg, &s, 1, LEDGER_DEADLINE_MS, take_changed, l);
}

static void take_days(void *owner, const struct err *error, PGresult **results, int n)
{
    (void)results;
    (void)n;
    ledger_finish(owner, error);
}

void ledger_ensure_days(struct ledger *l, ledger_done_fn done, void *owner)
{
    ledger_start(l, done, owner, NULL);
    struct pg_statement s;
    pg_statement_init(&s, SQL_ENSURE_PARTITIONS);
    pg_run(l->pg, &s, 1, LEDGER_DEADLINE_MS, take_days, l);
}

void ledger_set_base(struct ledger *l, uint64_t base, ledger_done_fn done, void *owner)
{
    ledger_start(l, done, owner, NULL);
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)base);
    struct pg_statement s;
    pg_statement_init(&s, SQL_FIRST_BASE);
    pg_add_text(&s, l->stream);
    pg_add_text(&s, l->owner);
    pg_add_text(&s, text);
    pg_run(l->pg, &s, 1, LEDGER_DEADLINE_MS, take_changed, l);
}
