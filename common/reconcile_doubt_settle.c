/* What becomes of one in doubt: the rule's verdict, written. */
#include "common/reconcile_doubt_internal.h"

#include "common/sql.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static struct dec field_dec(const struct doubts *d, int column)
{
    struct dec value = DEC_ZERO;
    const char *text = doubts_text(d, column);
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
        doubts_end(d, error);
        return;
    }
    if (!strcmp(d->state, "in_doubt")) {
        d->report.noted++;
    } else if (!strcmp(d->state, "pending")) {
        d->report.left++;
    } else {
        (*count_of(&d->report, d->state))++;
        d->events.on_settled(d->events.owner, doubts_text(d, DOUBT_IDENTIFIER),
                             doubts_text(d, DOUBT_CUSTOMER), d->state, d->why);
    }
    doubts_next(d);
}

/* held: of one that failed, as reconcile_settle.sql wants it. */
static void run_settle(struct doubts *d, const char *state, const char *held)
{
    struct pg_statement s[2];
    d->state = state;
    pg_statement_init(&s[0], SQL_RECONCILE_LOCK);
    pg_statement_init(&s[1], SQL_RECONCILE_SETTLE);
    pg_add_text(&s[1], doubts_text(d, DOUBT_IDENTIFIER));
    pg_add_text(&s[1], state);
    pg_add_text(&s[1], !strcmp(state, "sent") ? NULL : d->why);
    pg_add_text(&s[1], doubts_text(d, DOUBT_STATE));
    pg_add_text(&s[1], held);
    doubts_run(d, d->ask.restored ? s : s + 1, d->ask.restored ? 2 : 1, take_settled);
}

/* After a restore all that Stripe holds of its minute is adopted beside it. */
static void run_fail(struct doubts *d, struct dec held)
{
    char quantity[DEC_TEXT_SIZE];
    dec_format(held, quantity);
    run_settle(d, "failed", d->ask.restored ? NULL : quantity);
}

static void run_void(struct doubts *d)
{
    struct pg_statement s;
    d->state = "void";
    pg_statement_init(&s, SQL_RECONCILE_VOID);
    pg_add_text(&s, doubts_text(d, DOUBT_IDENTIFIER));
    pg_add_text(&s, d->why);
    doubts_run(d, &s, 1, take_settled);
}

static void run_note(struct doubts *d, struct held held)
{
    struct pg_statement s;
    char quantity[DEC_TEXT_SIZE];
    d->state = "in_doubt";
    dec_format(held.value, quantity);
    pg_statement_init(&s, SQL_RECONCILE_NOTE);
    pg_add_text(&s, doubts_text(d, DOUBT_IDENTIFIER));
    pg_add_text(&s, held.any ? quantity : NULL);
    doubts_run(d, &s, 1, take_settled);
}

/* After a restore: one under way in the life that was lost waits again; the others wait as they do.
 */
static void leave(struct doubts *d)
{
    if (!strcmp(doubts_text(d, DOUBT_STATE), "sending")) {
        run_settle(d, "pending", NULL);
        return;
    }
    d->report.left++;
    doubts_next(d);
}

/* Stripe refused it, since it had another of that identifier, from the life that was lost: what it
 * holds of the minute is adopted, and none of it is ours. */
static bool is_anothers(const struct doubts *d)
{
    return d->ask.restored && !d->place.item && *doubts_text(d, DOUBT_KNOWN) == 't';
}

static void read_doubt(const struct doubts *d, struct doubt *out)
{
    *out = (struct doubt){
        .quantity = field_dec(d, DOUBT_QUANTITY),
        .newest = d->place.newest,
        .read_before = *doubts_text(d, DOUBT_READ_BEFORE) == 't',
        .first = {.any = doubts_text(d, DOUBT_FIRST) != NULL, .value = field_dec(d, DOUBT_FIRST)},
        .now = d->held,
        /* After a restore it is found where it is, and adopted. */
        .known = !d->ask.restored && *doubts_text(d, DOUBT_KNOWN) == 't'};
    if (d->place.item)
        reconcile_rule_records(d->held.value, field_dec(d, DOUBT_RECORDS_SENT),
                               field_dec(d, DOUBT_RECORDS_DOUBTFUL), out);
}

static void say_why(struct doubts *d, const struct doubt *doubt)
{
    char held[DEC_TEXT_SIZE];
    char first[DEC_TEXT_SIZE];
    dec_format(d->held.value, held);
    dec_format(doubt->first.value, first);
    const char *of = d->place.item ? "the subscription item's period" : "its minute";
    if (doubt->read_before)
        (void)snprintf(d->why, DOUBT_WHY_SIZE, "Stripe %sholds %s of %s, an hour before %s",
                       doubt->known ? "knew it before and " : "", d->held.any ? held : "nothing",
                       of, doubt->first.any ? first : "nothing");
    else
        (void)snprintf(d->why, DOUBT_WHY_SIZE, "Stripe holds %s of %s",
                       d->held.any ? held : "nothing", of);
}

void doubts_settle(struct doubts *d)
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
        if (d->ask.restored)
            leave(d);
        else
            run_void(d);
        break;
    case DOUBT_FAIL:
        if (is_anothers(d))
            run_void(d);
        else
            run_fail(d, reconcile_rule_may_hold(&doubt));
        break;
    }
}
