/*    sent - reading - sent again -+- minutes - search -+- write
 *      ^____it changed____/       |                    |
 *                                 +----- no drift -----+
 *
 * What we sent is read before and after Stripe is asked. If a submission was settled in between,
 * the two sides do not belong together, and both are read once more. */
#include "common/stripe/comparison.h"

#include "common/pg/pg_array.h"
#include "common/sql.h"
#include "common/str.h"
#include "common/stripe/drift_search.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { DEADLINE_MS = 60000, READINGS_MAX = 5 };

/* Columns of reconcile_sent.sql. */
enum { SENT, OPEN, LOW, HIGH, MARK, SENT_COLUMNS };

struct comparison {
    struct stripe_usage *usage;
    comparison_done_fn done;
    void *owner;
    struct pg *pg;
    const struct reconcile_ask *ask;
    int64_t run_id;
    struct target target;
    struct customer_meter meter; /* its texts are the target's */
    PGresult *sent;              /* as read before Stripe was asked */
    int readings;                /* how often Stripe was asked */
    struct reading reading;      /* Stripe's */
    struct dec drift;
    struct sent_minute *minutes;
    struct drift_search *search; /* NULL: no drift, or Stripe tells no minutes */
};

static void run_sent(struct comparison *c);

const char *target_text(const struct target *t, int column)
{
    return PQgetisnull(t->rows, t->row, column) ? NULL : PQgetvalue(t->rows, t->row, column);
}

struct comparison *comparison_new(struct stripe_usage *usage, comparison_done_fn done, void *owner)
{
    struct comparison *c = xcalloc(1, sizeof *c);
    c->usage = usage;
    c->done = done;
    c->owner = owner;
    return c;
}

void comparison_free(struct comparison *c)
{
    assert(!c->sent);
    free(c);
}

static void end_comparison(struct comparison *c, enum comparison_outcome outcome,
                           const struct err *error)
{
    PQclear(c->sent);
    c->sent = NULL;
    if (c->search)
        drift_search_free(c->search);
    c->search = NULL;
    free(c->minutes);
    c->minutes = NULL;
    c->done(c->owner, outcome, c->drift, error);
}

/* Runs one statement. If the connection was lost meanwhile, the comparison ends. */
static void run(struct comparison *c, const struct pg_statement *s, pg_done_fn done)
{
    struct err e;
    if (pg_is_ready(c->pg)) {
        pg_run(c->pg, s, 1, DEADLINE_MS, done, c);
        return;
    }
    err_set(&e, ERR_CLOSED, "postgres: not connected");
    end_comparison(c, COMPARISON_FAILED, &e);
}

static int64_t target_s(const struct comparison *c, int column)
{
    int64_t s = 0;
    const char *text = target_text(&c->target, column);
    bool whole = text && str_to_i64(text, strlen(text), &s) == 0;
    assert(whole);
    return s;
}

static struct dec sent_number(const struct comparison *c, int column)
{
    struct dec value = DEC_ZERO;
    const char *text = PQgetvalue(c->sent, 0, column);
    bool read = dec_parse(text, strlen(text), &value) == 0;
    assert(read); /* its type is numeric(38,9) */
    return value;
}

/* Stripe knows no tenants: its figure for a customer's meter may come from several of them. */
static void add_meter(const struct comparison *c, struct pg_statement *s)
{
    for (int column = TARGET_CUSTOMER; column <= TARGET_ITEM; column++)
        pg_add_text(s, target_text(&c->target, column));
    pg_add_text(s, target_text(&c->target, TARGET_PERIOD_START));
    pg_add_text(s, target_text(&c->target, TARGET_PERIOD_END));
}

/* Writing what was found. */

static void take_written(void *owner, const struct err *error, PGresult **results, int n)
{
    (void)results;
    (void)n;
    end_comparison(owner, error ? COMPARISON_FAILED : COMPARISON_WRITTEN, error);
}

static void add_minutes(const struct comparison *c, struct pg_array *minutes,
                        struct pg_array *readings)
{
    int n = 0;
    const struct drift_minute *found = c->search ? drift_search_found(c->search, &n) : NULL;
    pg_array_init(minutes, PG_TIMESTAMPTZ);
    pg_array_init(readings, PG_NUMERIC);
    for (int i = 0; i < n; i++) {
        pg_array_add_time_ms(minutes, found[i].at_s * 1000);
        if (found[i].reading.any)
            pg_array_add_dec(readings, found[i].reading.value);
        else
            pg_array_add_null(readings);
    }
}

static void run_write(struct comparison *c)
{
    struct pg_statement s;
    struct pg_array minutes;
    struct pg_array readings;
    char stripe[DEC_TEXT_SIZE];
    char drift[DEC_TEXT_SIZE];
    char sent[DEC_TEXT_SIZE];
    unsigned char run_id[8];
    dec_format(c->reading.value, stripe);
    dec_format(c->drift, drift);
    dec_format(sent_number(c, SENT), sent);
    pg_statement_init(&s, SQL_RECONCILE_WRITE);
    pg_add_text(&s, target_text(&c->target, TARGET_TENANT));
    pg_add_text(&s, target_text(&c->target, TARGET_METRIC));
    add_meter(c, &s);
    pg_add_text(&s, sent);
    pg_add_text(&s, PQgetvalue(c->sent, 0, OPEN));
    pg_add_text(&s, stripe);
    pg_add_text(&s, drift);
    pg_add_i64(&s, c->run_id, run_id);
    add_minutes(c, &minutes, &readings);
    pg_add_array(&s, &minutes);
    pg_add_array(&s, &readings);
    /* Submissions of unknown outcome may add up to 0, and yet Stripe may have taken some. */
    pg_add_text(&s, dec_cmp(sent_number(c, LOW), sent_number(c, HIGH)) == 0 ? "true" : "false");
    run(c, &s, take_written);
    pg_array_done(&minutes);
    pg_array_done(&readings);
}

/* Finding the minutes that explain a drift. */

static void take_searched(void *owner, const struct err *error)
{
    struct comparison *c = owner;
    /* If Stripe refuses, the minutes found until then are written: better than none. */
    if (error && !stripe_usage_refused_this(error))
        end_comparison(c, COMPARISON_FAILED, error);
    else
        run_write(c);
}

static void take_minutes(void *owner, const struct err *error, PGresult **results, int n)
{
    struct comparison *c = owner;
    (void)n;
    if (error) {
        end_comparison(c, COMPARISON_FAILED, error);
        return;
    }
    int rows = PQntuples(results[0]);
    c->minutes = xcalloc((size_t)rows + 1, sizeof *c->minutes);
    for (int i = 0; i < rows; i++) {
        const unsigned char *data = (const unsigned char *)PQgetvalue(results[0], i, 1);
        c->minutes[i].at_s = pg_get_time_ms(results[0], i, 0) / 1000;
        bool read =
            dec_from_pg(data, (size_t)PQgetlength(results[0], i, 1), &c->minutes[i].quantity) == 0;
        assert(read); /* its type is numeric(38,9) */
    }
    c->search = drift_search_new(c->usage, &c->meter, c->minutes, rows, target_s(c, TARGET_START_S),
                                 target_s(c, TARGET_END_S), c->ask->most);
    drift_search_start(c->search, take_searched, c);
}

static void run_minutes(struct comparison *c)
{
    struct pg_statement s;
    pg_statement_init(&s, SQL_RECONCILE_MINUTES);
    add_meter(c, &s);
    s.binary_result = true;
    run(c, &s, take_minutes);
}

/* Comparing. */

static void compare(struct comparison *c)
{
    struct err e;
    if (reconcile_rule_drift(c->reading.value, sent_number(c, LOW), sent_number(c, HIGH),
                             &c->drift)) {
        err_set(&e, ERR_RANGE, "Stripe's quantity does not fit numeric(38,9)");
        end_comparison(c, COMPARISON_UNREAD, &e);
        return;
    }
    if (dec_is_zero(c->drift) || c->meter.item)
        run_write(c);
    else
        run_minutes(c);
}

static bool is_the_same(const PGresult *a, const PGresult *b)
{
    for (int i = 0; i < SENT_COLUMNS; i++)
        if (strcmp(PQgetvalue(a, 0, i), PQgetvalue(b, 0, i)) != 0)
            return false;
    return true;
}

static void take_reading(void *owner, const struct err *error)
{
    struct comparison *c = owner;
    if (!error)
        run_sent(c);
    else if (stripe_usage_refused_this(error))
        end_comparison(c, COMPARISON_UNREAD, error);
    else
        end_comparison(c, COMPARISON_FAILED, error);
}

static void run_reading(struct comparison *c)
{
    struct err e;
    bool nothing_sent = !strcmp(PQgetvalue(c->sent, 0, MARK), "0");
    if (stripe_usage_check(c->usage, &c->meter, &e) == 0) {
        stripe_usage_read(c->usage, &c->meter, target_s(c, TARGET_START_S),
                          target_s(c, TARGET_END_S), &c->reading, take_reading, c);
        return;
    }
    /* Stripe has no meter for it, and nothing was sent: there is nothing to compare. */
    if (nothing_sent && !stripe_usage_has_meter(c->usage, c->meter.event_name))
        end_comparison(c, COMPARISON_NOTHING, NULL);
    else
        end_comparison(c, COMPARISON_UNREAD, &e);
}

static void take_sent(void *owner, const struct err *error, PGresult **results, int n)
{
    struct comparison *c = owner;
    (void)n;
    if (error) {
        end_comparison(c, COMPARISON_FAILED, error);
        return;
    }
    struct err e;
    bool first = !c->sent;
    bool same = !first && is_the_same(c->sent, results[0]);
    PQclear(c->sent);
    c->sent = results[0];
    results[0] = NULL;
    if (same)
        compare(c);
    else if (++c->readings <= READINGS_MAX)
        run_reading(c);
    else {
        err_set(&e, ERR_TIMEOUT, "what we sent changed during every reading; gave up");
        end_comparison(c, COMPARISON_UNREAD, &e);
    }
}

static void run_sent(struct comparison *c)
{
    struct pg_statement s;
    pg_statement_init(&s, SQL_RECONCILE_SENT);
    add_meter(c, &s);
    pg_add_text(&s, c->meter.newest ? "true" : "false");
    pg_add_text(&s, c->ask->sent_alone ? "true" : "false");
    run(c, &s, take_sent);
}

void comparison_start(struct comparison *c, struct pg *pg, const struct target *t,
                      const struct reconcile_ask *ask, int64_t run_id)
{
    c->pg = pg;
    c->ask = ask;
    c->run_id = run_id;
    c->target = *t;
    c->meter = (struct customer_meter){.customer = target_text(t, TARGET_CUSTOMER),
                                       .event_name = target_text(t, TARGET_EVENT_NAME),
                                       .item = target_text(t, TARGET_ITEM),
                                       .newest = *target_text(t, TARGET_NEWEST) == 't'};
    c->readings = 0;
    c->drift = DEC_ZERO;
    run_sent(c);
}
