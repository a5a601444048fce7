/* One after the other:
 *
 *    meters - page -+- reading - look again -+- settle -+
 *               ^   ^                        |          |
 *               |   +----- the next one -----+----------+
 *               +--------- the next page ---------------+
 *
 * After the reading the row is looked at again. If it changed meanwhile, the reading says nothing
 * about it, and it waits for the next time. */
#include "common/stripe/in_doubt.h"

#include "common/sql.h"
#include "common/str.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEADLINE_MS = 60000, WHY_SIZE = 192 };
#define PAGE_ROWS "100"

/* Columns of reconcile_doubts.sql. */
enum {
    DOUBT_IDENTIFIER,
    DOUBT_CUSTOMER,
    DOUBT_EVENT_NAME,
    DOUBT_ITEM,
    DOUBT_NEWEST,
    DOUBT_START_S,
    DOUBT_END_S,
    DOUBT_QUANTITY,
    DOUBT_READ_BEFORE,
    DOUBT_FIRST,
    DOUBT_RECORDS_SENT,
    DOUBT_RECORDS_DOUBTFUL,
    DOUBT_RECORDS_MOVING,
    DOUBT_KNOWN,
    DOUBT_STATE
};

struct doubts {
    struct stripe_usage *usage;
    struct doubts_events events;
    struct pg *pg;
    bool running;
    struct doubts_ask ask;
    struct doubts_report report;
    PGresult *page;
    int row;
    struct customer_meter meter; /* of the row; its texts are the page's */
    struct reading reading;      /* Stripe's */
    const char *state;           /* the new one; static */
    char why[WHY_SIZE];
};

static void run_page(struct doubts *d, const char *after);
static void next(struct doubts *d);

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

static void end(struct doubts *d, const struct err *error)
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
    end(d, &e);
}

static const char *field_text(const struct doubts *d, int column)
{
    return PQgetisnull(d->page, d->row, column) ? NULL : PQgetvalue(d->page, d->row, column);
}

static int64_t field_s(const struct doubts *d, int column)
{
    int64_t s = 0;
    const char *text = field_text(d, column);
    bool whole = text && str_to_i64(text, strlen(text), &s) == 0;
    assert(whole);
    return s;
}

static void leave_unread(struct doubts *d)
{
    d->report.unread++;
    next(d);
}

/* Writing the rule's verdict. */

static struct dec field_dec(const struct doubts *d, int column)
{
    struct dec value = DEC_ZERO;
    const char *text = field_text(d, column);
    bool read = !text || dec_parse(text, strlen(text), &value) == 0;
    assert(read); /* its type is numeric(38,9) */
    return value;
}

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
        end(d, error);
        return;
    }
    if (!strcmp(d->state, "in_doubt")) {
        d->report.noted++;
    } else if (!strcmp(d->state, "pending")) {
        d->report.left++;
    } else {
        (*count_of(&d->report, d->state))++;
        d->events.on_settled(d->events.owner, field_text(d, DOUBT_IDENTIFIER),
                             field_text(d, DOUBT_CUSTOMER), d->state, d->why);
    }
    next(d);
}

/* stripe_has: of a submission that failed, see reconcile_settle.sql. */
static void run_settle(struct doubts *d, const char *state, const char *stripe_has)
{
    struct pg_statement s[2];
    d->state = state;
    pg_statement_init(&s[0], SQL_RECONCILE_LOCK);
    pg_statement_init(&s[1], SQL_RECONCILE_SETTLE);
    pg_add_text(&s[1], field_text(d, DOUBT_IDENTIFIER));
    pg_add_text(&s[1], state);
    pg_add_text(&s[1], !strcmp(state, "sent") ? NULL : d->why);
    pg_add_text(&s[1], field_text(d, DOUBT_STATE));
    pg_add_text(&s[1], stripe_has);
    run(d, d->ask.restored ? s : s + 1, d->ask.restored ? 2 : 1, take_settled);
}

/* After a restore nothing is noted: all that Stripe counted in its minute is adopted by itself. */
static void run_fail(struct doubts *d, struct dec stripe_has)
{
    char quantity[DEC_TEXT_SIZE];
    dec_format(stripe_has, quantity);
    run_settle(d, "failed", d->ask.restored ? NULL : quantity);
}

static void run_void(struct doubts *d)
{
    struct pg_statement s;
    d->state = "void";
    pg_statement_init(&s, SQL_RECONCILE_VOID);
    pg_add_text(&s, field_text(d, DOUBT_IDENTIFIER));
    pg_add_text(&s, d->why);
    run(d, &s, 1, take_settled);
}

static void run_note(struct doubts *d, struct reading reading)
{
    struct pg_statement s;
    char quantity[DEC_TEXT_SIZE];
    d->state = "in_doubt";
    dec_format(reading.value, quantity);
    pg_statement_init(&s, SQL_RECONCILE_NOTE);
    pg_add_text(&s, field_text(d, DOUBT_IDENTIFIER));
    pg_add_text(&s, reading.any ? quantity : NULL);
    run(d, &s, 1, take_settled);
}

/* After a restore: a submission that was being sent by the database that was lost waits to be sent
 * again. The others wait already. */
static void leave(struct doubts *d)
{
    if (!strcmp(field_text(d, DOUBT_STATE), "sending")) {
        run_settle(d, "pending", NULL);
        return;
    }
    d->report.left++;
    next(d);
}

/* Stripe refused it because the database that was lost had sent another one under that identifier.
 * What Stripe counted in the minute is adopted, and none of it is this submission's. */
static bool is_of_another(const struct doubts *d)
{
    return d->ask.restored && !d->meter.item && *field_text(d, DOUBT_KNOWN) == 't';
}

static void read_doubt(const struct doubts *d, struct doubt *out)
{
    *out = (struct doubt){
        .quantity = field_dec(d, DOUBT_QUANTITY),
        .newest = d->meter.newest,
        .read_before = *field_text(d, DOUBT_READ_BEFORE) == 't',
        .first = {.any = field_text(d, DOUBT_FIRST) != NULL, .value = field_dec(d, DOUBT_FIRST)},
        .now = d->reading,
        /* After a restore it is adopted wherever it is found. */
        .known = !d->ask.restored && *field_text(d, DOUBT_KNOWN) == 't'};
    if (d->meter.item)
        reconcile_rule_records(d->reading.value, field_dec(d, DOUBT_RECORDS_SENT),
                               field_dec(d, DOUBT_RECORDS_DOUBTFUL), out);
}

static void say_why(struct doubts *d, const struct doubt *doubt)
{
    char reading[DEC_TEXT_SIZE];
    char first[DEC_TEXT_SIZE];
    dec_format(d->reading.value, reading);
    dec_format(doubt->first.value, first);
    const char *of = d->meter.item ? "the subscription item's period" : "its minute";
    if (doubt->read_before)
        (void)snprintf(d->why, WHY_SIZE, "Stripe %sholds %s of %s, an hour before %s",
                       doubt->known ? "knew it before and " : "",
                       d->reading.any ? reading : "nothing", of,
                       doubt->first.any ? first : "nothing");
    else
        (void)snprintf(d->why, WHY_SIZE, "Stripe holds %s of %s",
                       d->reading.any ? reading : "nothing", of);
}

static void settle(struct doubts *d)
{
    struct doubt doubt;
    read_doubt(d, &doubt);
    say_why(d, &doubt);
    switch (d->ask.restored ? reconcile_rule_found(&doubt) : reconcile_rule_doubt(&doubt)) {
    case DOUBT_NOTE:
        run_note(d, doubt.now);
        break;
    case DOUBT_SENT:
        run_settle(d, "sent", NULL);
        break;
    case DOUBT_VOID:
        if (d->ask.restored && !is_of_another(d))
            leave(d);
        else
            run_void(d);
        break;
    case DOUBT_FAIL:
        if (is_of_another(d))
            run_void(d);
        else
            run_fail(d, reconcile_rule_may_hold(&doubt));
        break;
    }
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
        end(d, error);
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
    pg_add_text(&s, d->ask.restored ? "true" : "false");
    pg_add_text(&s, PAGE_ROWS);
    pg_add_text(&s, d->ask.tenant);
    run(d, &s, 1, done);
}

static void take_reading(void *owner, const struct err *error)
{
    struct doubts *d = owner;
    if (!error)
        run_list(d, "", field_text(d, DOUBT_IDENTIFIER), take_again);
    else if (stripe_usage_refused_this(error))
        leave_unread(d);
    else
        end(d, error);
}

static void begin_doubt(struct doubts *d)
{
    struct err e;
    d->meter = (struct customer_meter){.customer = field_text(d, DOUBT_CUSTOMER),
                                       .event_name = field_text(d, DOUBT_EVENT_NAME),
                                       .item = field_text(d, DOUBT_ITEM),
                                       .newest = *field_text(d, DOUBT_NEWEST) == 't'};
    if (field_s(d, DOUBT_RECORDS_MOVING) > 0 || stripe_usage_check(d->usage, &d->meter, &e))
        leave_unread(d);
    else
        stripe_usage_read(d->usage, &d->meter, field_s(d, DOUBT_START_S), field_s(d, DOUBT_END_S),
                          &d->reading, take_reading, d);
}

/* With usage records the next one is read from the database anew, since its sums contain this one.
 */
static void next(struct doubts *d)
{
    if (!d->meter.item && d->row + 1 < PQntuples(d->page)) {
        d->row++;
        begin_doubt(d);
        return;
    }
    run_page(d, field_text(d, DOUBT_IDENTIFIER));
}

static void take_page(void *owner, const struct err *error, PGresult **results, int n)
{
    struct doubts *d = owner;
    (void)n;
    if (error) {
        end(d, error);
        return;
    }
    PQclear(d->page);
    d->page = results[0];
    results[0] = NULL;
    d->row = 0;
    if (PQntuples(d->page) == 0)
        end(d, NULL);
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
        end(d, error);
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
