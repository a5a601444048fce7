/* From the number on an invoice down to raw events.
 *
 * total: of a period, from usage_totals.
 * adds:  what a row adds to the level above it. All submissions, with what is in none, make the
 *        total; so do all minutes; and all events of a minute make that minute's value. Of max,
 * last and unique just the deciding rows add anything. */
#ifndef METERLINE_CTL_EXPLAIN_H
#define METERLINE_CTL_EXPLAIN_H

#include "common/clock.h"
#include "common/dec.h"
#include "ctl/db.h"

#include <assert.h>
#include <jansson.h>
#include <stdbool.h>
#include <string.h>

struct explain;

/* The aggregation of the metric. */
enum explain_kind { EXPLAIN_SUM, EXPLAIN_COUNT, EXPLAIN_MAX, EXPLAIN_LAST, EXPLAIN_UNIQUE };

/* A minute with one set of dimensions. Texts are owned. */
struct explain_minute {
    int64_t at_ms;            /* Unix ms */
    char at[CLOCK_TEXT_SIZE]; /* 2026-11-21T10:00Z; "": there is none */
    char *dimensions;
    char *place;      /* of its last event */
    int64_t events;   /* by its row; 0 if there is no row because all of it was taken back */
    struct dec sum;   /* by its row, of quantities */
    struct dec value; /* by its row and the aggregation: sum, count, greatest, last; unique: 1 */
    struct dec adds;  /* value, if decides; else 0 */
    bool decides;
    int64_t found; /* the events that were read, without those taken back */
    struct dec found_sum;
    struct dec found_adds;
};

/* A raw event. Texts are borrowed from the row. */
struct explain_event {
    const char *id;
    const char *stream;
    const char *stream_id;
    char occurred_at[CLOCK_TEXT_SIZE];
    const char *quantity;
    const char *fields; /* JSON object */
    bool retracted;     /* taken back: it adds nothing */
    struct dec adds;
};

/* How it is printed. begin: head, submissions, unbilled and notes are filled in. end: proof is
 * too. */
struct explain_format {
    const char *name;
    void (*begin)(const struct explain *x);
    void (*minute)(const struct explain *x, const struct explain_minute *m);
    void (*event)(const struct explain *x, const struct explain_event *event);
    void (*minute_end)(const struct explain *x); /* NULL: nothing to say */
    void (*end)(const struct explain *x);
};

extern const struct explain_format EXPLAIN_TABLE, EXPLAIN_CSV, EXPLAIN_JSON;

struct explain {
    PGconn *conn;
    const char *tenant;
    const char *metric;
    const struct explain_format *format;
    bool events; /* in a table too */
    bool wide;   /* nothing of a table is cut */

    json_t *head;        /* a finding: period, total, unit, … */
    json_t *submissions; /* findings */
    json_t *unbilled;    /* findings: reason, quantity */
    json_t *moved_in;    /* findings: what the period's invoice holds for others */
    json_t *moved;       /* moved_in, moved_out -> decimal text, where there is any */
    json_t *notes;       /* texts */
    json_t *terms;       /* what makes the total: state or reason -> decimal text */
    json_t *proof;       /* a finding; adds up, or not */

    char *period_start;
    char *period_end;
    char *first; /* minute; from there until before last lie the minutes that make the total */
    char *last;
    char *dropped_before; /* retention may have dropped raw events before this time; NULL */
    struct dec total;
    bool is_summed;
    enum explain_kind kind;

    struct dec submitted;  /* all terms */
    struct dec minutes;    /* what minutes add */
    struct dec found;      /* what events add */
    struct dec dropped;    /* what events would add that retention dropped */
    struct dec difference; /* 0: each level makes the one above it */
};

/* Print minutes and events as they are read. Returns 0, or -1 with e. */
int explain_minutes(struct explain *x, struct err *e);

/* *sum += value. The ledger holds numeric(38,9), so the sum cannot be beyond that. */
static inline void explain_add(struct dec *sum, struct dec value)
{
    int failed = dec_add(*sum, value, sum);
    assert(!failed);
}

/* *sum += |a - b| */
static inline void explain_add_difference(struct dec *sum, struct dec a, struct dec b)
{
    struct dec rest;
    int failed = dec_cmp(a, b) < 0 ? dec_sub(b, a, &rest) : dec_sub(a, b, &rest);

    assert(!failed);
    explain_add(sum, rest);
}

/* A decimal that PostgreSQL printed. */
static inline struct dec explain_dec(const char *text)
{
    struct dec value;
    int failed = dec_parse(text, strlen(text), &value);

    assert(!failed);
    return value;
}

#endif
