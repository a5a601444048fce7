/* One after the other:
 *
 *    meters - page -+- held - look again -+- settle -+
 *               ^   ^                     |          |
 *               |   +---- the next one ---+----------+
 *               +-------- the next page -------------+
 *
 * Looked at again since a reading says nothing of what changed meanwhile: such a one waits for the
 * next time. */
#include "common/reconcile_doubt.h"

#include "common/sql.h"
#include "common/str.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEADLINE_MS = 60000, WHY_SIZE = 160 };
#define PAGE_ROWS "100"

/* Columns of reconcile_doubts.sql. */
enum {
    IDENTIFIER,
    CUSTOMER,
    EVENT_NAME,
    ITEM,
    NEWEST,
    START_S,
    END_S,
    QUANTITY,
    READ_BEFORE,
    FIRST,
    RECORDS_SENT,
    RECORDS_DOUBTFUL,
    RECORDS_MOVING,
    STATE
};

struct doubts {
    struct stripe_usage *usage;
    struct doubts_events events;
    struct pg *pg;
    bool running;
    bool restored;
    struct doubts_report report;
    PGresult *page;
    int row;
    struct usage_place place; /* of this one; its texts are the page's */
    struct held held;
    const char *state; /* the new one; static */
    char why[WHY_SIZE];
};

static void next_doubt(struct doubts *d);
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

static void end_run(struct doubts *d, const struct err *error)
{
    PQclear(d->page);
    d->page = NULL;
    d->running = false;
    d->events.done(d->events.owner, error, &d->report);
}

static void run(struct doubts *d, const struct pg_statement *s, int n, pg_done_fn done)
{
    struct err e;
    if (pg_is_ready(d->pg)) {
        pg_run(d->pg, s, n, DEADLINE_MS, done, d);
        return;
    }
    err_set(&e, ERR_CLOSED, "postgres: not connected");
    end_run(d, &e);
}

/* This one's text; NULL for SQL NULL. */
static const char *field(const struct doubts *d, int column)
{
    return PQgetisnull(d->page, d->row, column) ? NULL : PQgetvalue(d->page, d->row, column);
}

static int64_t field_s(const struct doubts *d, int column)
{
    int64_t s = 0;
    const char *text = field(d, column);
    bool whole = text && str_to_i64(text, strlen(text), &s) == 0;
    assert(whole);
    return s;
}

static struct dec field_dec(const struct doubts *d, int column)
{
    struct dec value = DEC_ZERO;
    const char *text = field(d, column);
    bool read = !text || dec_parse(text, strlen(text), &value) == 0;
    assert(read); /* its type is numeric(38,9) */
    return value;
}

static void leave_unread(struct doubts *d)
{
    d->report.unread++;
    next_doubt(d);
}

/* Settling. */

static int64_t *count_of(struct doubts_report *report, const char *state)
{
    if (!strcmp(state, "sent"))
        return &report->sent;
    return strcmp(state, "void") == 0 ? &report->voided : &report->failed;
}

static void take_settled(void *owner, const struct err *error, PGresult **results, int n)
{
    struct doubts *d = owner;
    (void)results;
    (void)n;
    if (error) {
        end_run(d, error);
        return;
    }
    if (!strcmp(d->state, "in_doubt")) {
        d->report.noted++;
    } else if (!strcmp(d->state, "pending")) {
        d->report.left++;
    } else {
        (*count_of(&d->report, d->state))++;
        d->events.on_settled(d->events.owner, field(d, IDENTIFIER), field(d, CUSTOMER), d->state,
                             d->why);
    }
    next_doubt(d);
}

static void run_settle(struct doubts *d, const char *state)
{
    struct pg_statement s[2];
    d->state = state;
    pg_statement_init(&s[0], SQL_RECONCILE_LOCK);
    pg_statement_init(&s[1], SQL_RECONCILE_SETTLE);
    pg_add_text(&s[1], field(d, IDENTIFIER));
    pg_add_text(&s[1], state);
    pg_add_text(&s[1], !strcmp(state, "sent") ? NULL : d->why);
    pg_add_text(&s[1], field(d, STATE));
    run(d, d->restored ? s : s + 1, d->restored ? 2 : 1, take_settled);
}

static void run_void(struct doubts *d)
{
    struct pg_statement s;
    d->state = "void";
    pg_statement_init(&s, SQL_RECONCILE_VOID);
    pg_add_text(&s, field(d, IDENTIFIER));
    pg_add_text(&s, d->why);
    run(d, &s, 1, take_settled);
}

static void run_note(struct doubts *d, struct held held)
{
    struct pg_statement s;
    char quantity[DEC_TEXT_SIZE];
    d->state = "in_doubt";
    dec_format(held.value, quantity);
    pg_statement_init(&s, SQL_RECONCILE_NOTE);
    pg_add_text(&s, field(d, IDENTIFIER));
    pg_add_text(&s, held.any ? quantity : NULL);
    run(d, &s, 1, take_settled);
}

/* After a restore: one under way in the life that was lost waits again; the others wait as they do.
 */
static void leave(struct doubts *d)
{
    if (!strcmp(field(d, STATE), "sending")) {
        run_settle(d, "pending");
        return;
    }
    d->report.left++;
    next_doubt(d);
}

static void read_doubt(const struct doubts *d, struct doubt *out)
{
    *out = (struct doubt){.quantity = field_dec(d, QUANTITY),
                          .newest = d->place.newest,
                          .read_before = *field(d, READ_BEFORE) == 't',
                          .first = {.any = field(d, FIRST) != NULL, .value = field_dec(d, FIRST)},
                          .now = d->held};
    if (d->place.item)
        reconcile_rule_records(d->held.value, field_dec(d, RECORDS_SENT),
                               field_dec(d, RECORDS_DOUBTFUL), out);
}

static void say_why(struct doubts *d, const struct doubt *doubt)
{
    char held[DEC_TEXT_SIZE];
    char first[DEC_TEXT_SIZE];
    dec_format(d->held.value, held);
    dec_format(doubt->first.value, first);
    const char *of = d->place.item ? "the subscription item's period" : "its minute";
    if (doubt->read_before)
        (void)snprintf(d->why, WHY_SIZE, "Stripe holds %s of %s, an hour before %s",
                       d->held.any ? held : "nothing", of, doubt->first.any ? first : "nothing");
    else
        (void)snprintf(d->why, WHY_SIZE, "Stripe holds %s of %s", d->held.any ? held : "nothing",
                       of);
}

static void settle(struct doubts *d)
{
    struct doubt doubt;
    read_doubt(d, &doubt);
    say_why(d, &doubt);
    switch (d->restored ? reconcile_rule_found(&doubt) : reconcile_rule_doubt(&doubt)) {
    case DOUBT_NOTE:
        run_note(d, doubt.now);
        break;
    case DOUBT_SENT:
        run_settle(d, "sent");
        break;
    case DOUBT_VOID:
        if (d->restored)
            leave(d);
        else
            run_void(d);
        break;
    case DOUBT_FAIL:
        run_settle(d, "failed");
        break;
    }
}

/* Reading. */

static bool is_the_same(const PGresult *one, const PGresult *page, int row)
{
    if (PQntuples(one) != 1)
        return false;
    for (int i = IDENTIFIER; i <= STATE; i++)
        if (strcmp(PQgetvalue(one, 0, i), PQgetvalue(page, row, i)) != 0)
            return false;
    return true;
}

static void take_again(void *owner, const struct err *error, PGresult **results, int n)
{
    struct doubts *d = owner;
    (void)n;
    if (error)
        end_run(d, error);
    else if (is_the_same(results[0], d->page, d->row))
        settle(d);
    else
        leave_unread(d);
}

static void run_list(struct doubts *d, const char *after, const char *one, pg_done_fn done)
{
    struct pg_statement s;
    pg_statement_init(&s, SQL_RECONCILE_DOUBTS);
    pg_add_text(&s, after);
    pg_add_text(&s, one);
    pg_add_text(&s, d->restored ? "true" : "false");
    pg_add_text(&s, PAGE_ROWS);
    run(d, &s, 1, done);
}

static void take_held(void *owner, const struct err *error)
{
    struct doubts *d = owner;
    if (!error)
        run_list(d, "", field(d, IDENTIFIER), take_again);
    else if (stripe_usage_refused_this(error))
        leave_unread(d);
    else
        end_run(d, error);
}

static void begin_doubt(struct doubts *d)
{
    struct err e;
    d->place = (struct usage_place){.customer = field(d, CUSTOMER),
                                    .event_name = field(d, EVENT_NAME),
                                    .item = field(d, ITEM),
                                    .newest = *field(d, NEWEST) == 't'};
    if (field_s(d, RECORDS_MOVING) > 0 || stripe_usage_check(d->usage, &d->place, &e))
        leave_unread(d);
    else
        stripe_usage_read(d->usage, &d->place, field_s(d, START_S), field_s(d, END_S), &d->held,
                          take_held, d);
}

/* Of usage records the next one is read anew: what became of this one is in its sums. */
static void next_doubt(struct doubts *d)
{
    if (!d->place.item && d->row + 1 < PQntuples(d->page)) {
        d->row++;
        begin_doubt(d);
        return;
    }
    run_page(d, field(d, IDENTIFIER));
}

static void take_page(void *owner, const struct err *error, PGresult **results, int n)
{
    struct doubts *d = owner;
    (void)n;
    if (error) {
        end_run(d, error);
        return;
    }
    PQclear(d->page);
    d->page = results[0];
    results[0] = NULL;
    d->row = 0;
    if (PQntuples(d->page) == 0)
        end_run(d, NULL);
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
        end_run(d, error);
    else
        run_page(d, "");
}

void doubts_start(struct doubts *d, struct pg *pg, bool restored)
{
    assert(!d->running && pg_is_ready(pg));
    d->running = true;
    d->pg = pg;
    d->restored = restored;
    d->report = (struct doubts_report){0};
    stripe_usage_load(d->usage, take_meters, d);
}
