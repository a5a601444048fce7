/*    ours - held - ours again -+- minutes - explain -+- write
 *      ^___it changed____/     |                     |
 *                              +----- no drift ------+
 *
 * Ours are read before and after Stripe is asked, since a submission may be settled meanwhile. */
#include "common/stripe/comparison.h"

#include "common/pg/pg_array.h"
#include "common/sql.h"
#include "common/str.h"
#include "common/stripe/reconcile_explain.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { DEADLINE_MS = 60000, MOST_LOOKS = 5 };

/* Columns of reconcile_ours.sql. */
enum { SENT, OPEN, LOW, HIGH, MARK, OURS_COLUMNS };

struct place_check {
    struct stripe_usage *usage;
    place_done_fn done;
    void *owner;
    struct pg *pg;
    const struct reconcile_ask *ask;
    int64_t run_id;
    struct target target;
    struct usage_place place; /* its texts are the target's */
    PGresult *ours;           /* as read before Stripe was asked */
    int looks;
    struct held held;
    struct dec drift;
    struct our_minute *minutes;
    struct explain *explain; /* NULL: nothing to explain, or not by minutes */
};

static void run_ours(struct place_check *p);

const char *target_text(const struct target *t, int column)
{
    return PQgetisnull(t->rows, t->row, column) ? NULL : PQgetvalue(t->rows, t->row, column);
}

struct place_check *place_check_new(struct stripe_usage *usage, place_done_fn done, void *owner)
{
    struct place_check *p = xcalloc(1, sizeof *p);
    p->usage = usage;
    p->done = done;
    p->owner = owner;
    return p;
}

void place_check_free(struct place_check *p)
{
    assert(!p->ours);
    free(p);
}

static void end_check(struct place_check *p, enum place_outcome outcome, const struct err *error)
{
    PQclear(p->ours);
    p->ours = NULL;
    if (p->explain)
        explain_free(p->explain);
    p->explain = NULL;
    free(p->minutes);
    p->minutes = NULL;
    p->done(p->owner, outcome, p->drift, error);
}

/* One statement. A connection that was lost meanwhile ends it. */
static void run(struct place_check *p, const struct pg_statement *s, pg_done_fn done)
{
    struct err e;
    if (pg_is_ready(p->pg)) {
        pg_run(p->pg, s, 1, DEADLINE_MS, done, p);
        return;
    }
    err_set(&e, ERR_CLOSED, "postgres: not connected");
    end_check(p, PLACE_FAILED, &e);
}

static int64_t target_s(const struct place_check *p, int column)
{
    int64_t s = 0;
    const char *text = target_text(&p->target, column);
    bool whole = text && str_to_i64(text, strlen(text), &s) == 0;
    assert(whole);
    return s;
}

/* A number of ours. */
static struct dec our_number(const struct place_check *p, int column)
{
    struct dec value = DEC_ZERO;
    const char *text = PQgetvalue(p->ours, 0, column);
    bool read = dec_parse(text, strlen(text), &value) == 0;
    assert(read); /* its type is numeric(38,9) */
    return value;
}

/* Stripe knows no tenants: what it holds of a customer's meter may come from several. */
static void add_meter(const struct place_check *p, struct pg_statement *s)
{
    for (int column = TARGET_CUSTOMER; column <= TARGET_ITEM; column++)
        pg_add_text(s, target_text(&p->target, column));
    pg_add_text(s, target_text(&p->target, TARGET_PERIOD_START));
    pg_add_text(s, target_text(&p->target, TARGET_PERIOD_END));
}

static void add_place(const struct place_check *p, struct pg_statement *s)
{
    pg_add_text(s, target_text(&p->target, TARGET_TENANT));
    pg_add_text(s, target_text(&p->target, TARGET_METRIC));
    add_meter(p, s);
}

/* Writing what was found. */

static void take_written(void *owner, const struct err *error, PGresult **results, int n)
{
    (void)results;
    (void)n;
    end_check(owner, error ? PLACE_FAILED : PLACE_COMPARED, error);
}

static void add_minutes(const struct place_check *p, struct pg_array *minutes,
                        struct pg_array *held)
{
    int n = 0;
    const struct odd_minute *odd = p->explain ? explain_found(p->explain, &n) : NULL;
    pg_array_init(minutes, PG_TIMESTAMPTZ);
    pg_array_init(held, PG_NUMERIC);
    for (int i = 0; i < n; i++) {
        pg_array_add_time_ms(minutes, odd[i].at_s * 1000);
        if (odd[i].held.any)
            pg_array_add_dec(held, odd[i].held.value);
        else
            pg_array_add_null(held);
    }
}

/* What is open may add up to nothing, and Stripe hold a part of it all the same. */
static bool is_certain(const struct place_check *p)
{
    return dec_cmp(our_number(p, LOW), our_number(p, HIGH)) == 0;
}

static void run_write(struct place_check *p)
{
    struct pg_statement s;
    struct pg_array minutes;
    struct pg_array held;
    char stripe[DEC_TEXT_SIZE];
    char drift[DEC_TEXT_SIZE];
    char sent[DEC_TEXT_SIZE];
    unsigned char run_id[8];
    dec_format(p->held.value, stripe);
    dec_format(p->drift, drift);
    dec_format(our_number(p, SENT), sent);
    pg_statement_init(&s, SQL_RECONCILE_WRITE);
    add_place(p, &s);
    pg_add_text(&s, sent);
    pg_add_text(&s, PQgetvalue(p->ours, 0, OPEN));
    pg_add_text(&s, stripe);
    pg_add_text(&s, drift);
    pg_add_i64(&s, p->run_id, run_id);
    add_minutes(p, &minutes, &held);
    pg_add_array(&s, &minutes);
    pg_add_array(&s, &held);
    pg_add_text(&s, is_certain(p) ? "true" : "false");
    run(p, &s, take_written);
    pg_array_done(&minutes);
    pg_array_done(&held);
}

/* Explaining a drift. */

static void take_explained(void *owner, const struct err *error)
{
    struct place_check *p = owner;
    /* What was found until then is better than nothing. */
    if (error && !stripe_usage_refused_this(error))
        end_check(p, PLACE_FAILED, error);
    else
        run_write(p);
}

static void take_minutes(void *owner, const struct err *error, PGresult **results, int n)
{
    struct place_check *p = owner;
    (void)n;
    if (error) {
        end_check(p, PLACE_FAILED, error);
        return;
    }
    int rows = PQntuples(results[0]);
    p->minutes = xcalloc((size_t)rows + 1, sizeof *p->minutes);
    for (int i = 0; i < rows; i++) {
        const unsigned char *data = (const unsigned char *)PQgetvalue(results[0], i, 1);
        p->minutes[i].at_s = pg_get_time_ms(results[0], i, 0) / 1000;
        bool read =
            dec_from_pg(data, (size_t)PQgetlength(results[0], i, 1), &p->minutes[i].quantity) == 0;
        assert(read); /* its type is numeric(38,9) */
    }
    p->explain = explain_new(p->usage, &p->place, p->minutes, rows, target_s(p, TARGET_START_S),
                             target_s(p, TARGET_END_S), p->ask->most);
    explain_start(p->explain, take_explained, p);
}

static void run_minutes(struct place_check *p)
{
    struct pg_statement s;
    pg_statement_init(&s, SQL_RECONCILE_MINUTES);
    add_meter(p, &s);
    s.binary_result = true;
    run(p, &s, take_minutes);
}

/* Comparing. */

static void compare(struct place_check *p)
{
    struct err e;
    if (reconcile_rule_drift(p->held.value, our_number(p, LOW), our_number(p, HIGH), &p->drift)) {
        err_set(&e, ERR_RANGE, "Stripe holds a quantity that is no decimal of ours");
        end_check(p, PLACE_UNREAD, &e);
        return;
    }
    if (dec_is_zero(p->drift) || p->place.item)
        run_write(p);
    else
        run_minutes(p);
}

static bool is_the_same(const PGresult *a, const PGresult *b)
{
    for (int i = 0; i < OURS_COLUMNS; i++)
        if (strcmp(PQgetvalue(a, 0, i), PQgetvalue(b, 0, i)) != 0)
            return false;
    return true;
}

static void take_held(void *owner, const struct err *error)
{
    struct place_check *p = owner;
    if (!error)
        run_ours(p);
    else if (stripe_usage_refused_this(error))
        end_check(p, PLACE_UNREAD, error);
    else
        end_check(p, PLACE_FAILED, error);
}

static void read_held(struct place_check *p)
{
    struct err e;
    bool ours_is_nothing = !strcmp(PQgetvalue(p->ours, 0, MARK), "0");
    if (stripe_usage_check(p->usage, &p->place, &e) == 0) {
        stripe_usage_read(p->usage, &p->place, target_s(p, TARGET_START_S),
                          target_s(p, TARGET_END_S), &p->held, take_held, p);
        return;
    }
    /* Usage that Stripe has no meter for, and of which nothing was sent: there is nothing to
     * compare. */
    if (ours_is_nothing && !stripe_usage_has_meter(p->usage, p->place.event_name))
        end_check(p, PLACE_NOTHING, NULL);
    else
        end_check(p, PLACE_UNREAD, &e);
}

static void take_ours(void *owner, const struct err *error, PGresult **results, int n)
{
    struct place_check *p = owner;
    (void)n;
    if (error) {
        end_check(p, PLACE_FAILED, error);
        return;
    }
    struct err e;
    bool first = !p->ours;
    bool same = !first && is_the_same(p->ours, results[0]);
    PQclear(p->ours);
    p->ours = results[0];
    results[0] = NULL;
    if (same)
        compare(p);
    else if (++p->looks <= MOST_LOOKS)
        read_held(p);
    else {
        err_set(&e, ERR_TIMEOUT, "ours changed each time that Stripe was asked");
        end_check(p, PLACE_UNREAD, &e);
    }
}

static void run_ours(struct place_check *p)
{
    struct pg_statement s;
    pg_statement_init(&s, SQL_RECONCILE_OURS);
    add_meter(p, &s);
    pg_add_text(&s, p->place.newest ? "true" : "false");
    pg_add_text(&s, p->ask->sent_alone ? "true" : "false");
    run(p, &s, take_ours);
}

void place_check_start(struct place_check *p, struct pg *pg, const struct target *t,
                       const struct reconcile_ask *ask, int64_t run_id)
{
    p->pg = pg;
    p->ask = ask;
    p->run_id = run_id;
    p->target = *t;
    p->place = (struct usage_place){.customer = target_text(t, TARGET_CUSTOMER),
                                    .event_name = target_text(t, TARGET_EVENT_NAME),
                                    .item = target_text(t, TARGET_ITEM),
                                    .newest = *target_text(t, TARGET_NEWEST) == 't'};
    p->looks = 0;
    p->drift = DEC_ZERO;
    run_ours(p);
}
