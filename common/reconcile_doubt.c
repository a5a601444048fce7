/* One after the other:
 *
 *    meters - page -+- held - look again -+- settle -+
 *               ^   ^                     |          |
 *               |   +---- the next one ---+----------+
 *               +-------- the next page -------------+
 *
 * Looked at again since a reading says nothing of what changed meanwhile: such a one waits for the
 * next time. */
#include "common/reconcile_doubt_internal.h"

#include "common/sql.h"
#include "common/str.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { DEADLINE_MS = 60000 };
#define PAGE_ROWS "100"

static void run_page(struct doubts *d, const char *after);

struct doubts *doubts_new(struct stripe_usage *usage, struct doubts_events events)
{
    struct doubts *d = xcalloc(1, sizeof *d);
    d->usage = usage;
    d->events = events;
    return d;
}

void doubts_free(struct doubts *d)
{
    assert(!d->running);
    free(d);
}

void doubts_end(struct doubts *d, const struct err *error)
{
    PQclear(d->page);
    d->page = NULL;
    d->running = false;
    d->events.done(d->events.owner, error, &d->report);
}

void doubts_run(struct doubts *d, const struct pg_statement *s, int n, pg_done_fn done)
{
    struct err e;
    if (pg_is_ready(d->pg)) {
        pg_run(d->pg, s, n, DEADLINE_MS, done, d);
        return;
    }
    err_set(&e, ERR_CLOSED, "postgres: not connected");
    doubts_end(d, &e);
}

const char *doubts_text(const struct doubts *d, int column)
{
    return PQgetisnull(d->page, d->row, column) ? NULL : PQgetvalue(d->page, d->row, column);
}

static int64_t field_s(const struct doubts *d, int column)
{
    int64_t s = 0;
    const char *text = doubts_text(d, column);
    bool whole = text && str_to_i64(text, strlen(text), &s) == 0;
    assert(whole);
    return s;
}

static void leave_unread(struct doubts *d)
{
    d->report.unread++;
    doubts_next(d);
}

/* Reading. */

static bool is_the_same(const PGresult *one, const PGresult *page, int row)
{
    if (PQntuples(one) != 1)
        return false;
    for (int i = DOUBT_IDENTIFIER; i <= DOUBT_STATE; i++)
        if (strcmp(PQgetvalue(one, 0, i), PQgetvalue(page, row, i)) != 0)
            return false;
    return true;
}

static void take_again(void *owner, const struct err *error, PGresult **results, int n)
{
    struct doubts *d = owner;
    (void)n;
    if (error)
        doubts_end(d, error);
    else if (is_the_same(results[0], d->page, d->row))
        doubts_settle(d);
    else
        leave_unread(d);
}

static void run_list(struct doubts *d, const char *after, const char *one, pg_done_fn done)
{
    struct pg_statement s;
    pg_statement_init(&s, SQL_RECONCILE_DOUBTS);
    pg_add_text(&s, after);
    pg_add_text(&s, one);
    pg_add_text(&s, d->ask.restored ? "true" : "false");
    pg_add_text(&s, PAGE_ROWS);
    pg_add_text(&s, d->ask.tenant);
    doubts_run(d, &s, 1, done);
}

static void take_held(void *owner, const struct err *error)
{
    struct doubts *d = owner;
    if (!error)
        run_list(d, "", doubts_text(d, DOUBT_IDENTIFIER), take_again);
    else if (stripe_usage_refused_this(error))
        leave_unread(d);
    else
        doubts_end(d, error);
}

static void begin_doubt(struct doubts *d)
{
    struct err e;
    d->place = (struct usage_place){.customer = doubts_text(d, DOUBT_CUSTOMER),
                                    .event_name = doubts_text(d, DOUBT_EVENT_NAME),
                                    .item = doubts_text(d, DOUBT_ITEM),
                                    .newest = *doubts_text(d, DOUBT_NEWEST) == 't'};
    if (field_s(d, DOUBT_RECORDS_MOVING) > 0 || stripe_usage_check(d->usage, &d->place, &e))
        leave_unread(d);
    else
        stripe_usage_read(d->usage, &d->place, field_s(d, DOUBT_START_S), field_s(d, DOUBT_END_S),
                          &d->held, take_held, d);
}

/* Of usage records the next one is read anew: what became of this one is in its sums. */
void doubts_next(struct doubts *d)
{
    if (!d->place.item && d->row + 1 < PQntuples(d->page)) {
        d->row++;
        begin_doubt(d);
        return;
    }
    run_page(d, doubts_text(d, DOUBT_IDENTIFIER));
}

static void take_page(void *owner, const struct err *error, PGresult **results, int n)
{
    struct doubts *d = owner;
    (void)n;
    if (error) {
        doubts_end(d, error);
        return;
    }
    PQclear(d->page);
    d->page = results[0];
    results[0] = NULL;
    d->row = 0;
    if (PQntuples(d->page) == 0)
        doubts_end(d, NULL);
    else
        begin_doubt(d);
}

static void run_page(struct doubts *d, const char *after)
{
    run_list(d, after, NULL, take_page);
}

static void take_meters(void *owner, const struct err *error)
{
    struct doubts *d = owner;
    if (error)
        doubts_end(d, error);
    else
        run_page(d, "");
}

void doubts_start(struct doubts *d, struct pg *pg, const struct doubts_ask *ask)
{
    assert(!d->running && pg_is_ready(pg));
    d->running = true;
    d->pg = pg;
    d->ask = *ask;
    d->report = (struct doubts_report){0};
    if (ask->meters_known)
        run_page(d, "");
    else
        stripe_usage_load(d->usage, take_meters, d);
}
