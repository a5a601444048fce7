#include "sink/send/submission_store.h"

#include "common/log.h"
#include "common/pg/pg_array.h"
#include "sink/sql.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEADLINE_MS = 20000,
    MAX_STATEMENTS = 4,
    SETTLE_COLUMNS = 9,
    TRANSPORT_COLUMNS = 3,
    NUMBER_SIZE = 8
};

/* Columns of pick_submissions.sql. */
enum {
    IDENTIFIER,
    CUSTOMER,
    EVENT_NAME,
    TRANSPORT,
    SUBSCRIPTION_ITEM,
    QUANTITY,
    BODY,
    STATE,
    ATTEMPTS,
    SENT_BEFORE,
    LAST_ERROR,
    SPENT_KEYS,
    PICKS,
    LEDGER_ID
};

struct exchange {
    store_done_fn done;
    void *owner;
    int lock_at; /* index of the statement in the pipeline, or -1 */
    int open_at;
};

void submission_free(struct submission *s)
{
    free(s->identifier);
    free(s->customer);
    free(s->event_name);
    free(s->subscription_item);
    free(s->body);
    free(s->path);
    free(s);
}

void submission_set_untried(struct submission *s)
{
    s->wait_ms = 0;
    s->outcome = (struct settle_outcome){
        .state = SETTLE_RETRY, .peer = SETTLE_PEER_UNSURE, .label = "not_sent", .unsent = true};
    err_set(&s->outcome.error, ERR_CANCELED, "not sent: picked too long ago, or while stopping");
}

void submission_queue_add_take(struct submission_queue *q, struct submission *s)
{
    s->next = NULL;
    if (q->last)
        q->last->next = s;
    else
        q->first = s;
    q->last = s;
    q->count++;
}

struct submission *submission_queue_pop(struct submission_queue *q)
{
    struct submission *s = q->first;
    if (!s)
        return NULL;
    q->first = s->next;
    if (!q->first)
        q->last = NULL;
    q->count--;
    return s;
}

void submission_queue_move(struct submission_queue *to, struct submission_queue *from)
{
    submission_queue_move_some(to, from, from->count);
}

void submission_queue_move_some(struct submission_queue *to, struct submission_queue *from,
                                int most)
{
    for (int left = most; left > 0 && from->count > 0; left--)
        submission_queue_add_take(to, submission_queue_pop(from));
}

void submission_queue_done(struct submission_queue *q)
{
    struct submission *s;
    while ((s = submission_queue_pop(q)))
        submission_free(s);
}

/* Settling. */

/* Texts from outside may hold anything; PostgreSQL refuses what is not UTF-8, and with it all the
 * others of this exchange. A text that was cut in the middle of a character is such a one. */
static void add_safe_text(struct pg_array *a, const char *text)
{
    char *safe = xstrdup(text);
    str_make_utf8(safe);
    pg_array_add_text(a, safe);
    free(safe);
}

static void add_optional(struct pg_array *a, const char *text)
{
    if (text && *text)
        add_safe_text(a, text);
    else
        pg_array_add_null(a);
}

static void add_ended(struct pg_array columns[SETTLE_COLUMNS], const struct submission *s)
{
    const struct settle_outcome *o = &s->outcome;
    const unsigned char forget = o->unsent && !s->sent_before && o->state == SETTLE_RETRY;
    const unsigned char known = o->known, key_spent = o->key_spent;
    pg_array_add_text(&columns[0], s->identifier);
    pg_array_add_i64(&columns[1], s->attempt);
    pg_array_add_text(&columns[2], settle_state_name(o->state));
    pg_array_add_i64(&columns[3], s->wait_ms);
    add_optional(&columns[4], o->error.kind == ERR_NONE ? NULL : o->error.text);
    add_optional(&columns[5], s->request_id);
    pg_array_add(&columns[6], &forget, sizeof forget);
    pg_array_add(&columns[7], &known, sizeof known);
    pg_array_add(&columns[8], &key_spent, sizeof key_spent);
}

static void add_settle(struct pg_statement *s, const struct submission_queue *ended,
                       const char *owner, struct pg_array columns[SETTLE_COLUMNS])
{
    for (const struct submission *e = ended->first; e; e = e->next)
        add_ended(columns, e);
    pg_statement_init(s, SQL_SETTLE_SUBMISSIONS);
    pg_add_text(s, owner);
    for (int i = 0; i < SETTLE_COLUMNS; i++)
        pg_add_array(s, &columns[i]);
}

/* Picking. */

static void add_pick(struct pg_statement *s, const struct store_terms *terms,
                     unsigned char numbers[2 * NUMBER_SIZE],
                     struct pg_array transports[TRANSPORT_COLUMNS])
{
    pg_statement_init(s, SQL_PICK_SUBMISSIONS);
    s->binary_result = true;
    pg_add_text(s, terms->owner);
    pg_add_i64(s, terms->lease_ms, numbers);
    pg_add_i64(s, (int64_t)terms->calls * TRANSPORT_CALL_COST, numbers + NUMBER_SIZE);
    pg_add_text(s, terms->customer);
    pg_add_text(s, terms->event_name);
    for (const struct transport *const *t = TRANSPORTS; *t; t++) {
        const unsigned char ends = (*t)->ends_with_period;
        pg_array_add_text(&transports[0], (*t)->name);
        pg_array_add_i64(&transports[1], transport_cost(*t));
        pg_array_add(&transports[2], &ends, sizeof ends);
    }
    for (int i = 0; i < TRANSPORT_COLUMNS; i++)
        pg_add_array(s, &transports[i]);
}

static struct submission *read_picked(const PGresult *r, int row, const struct transport *transport)
{
    struct submission *s = xcalloc(1, sizeof *s);
    const unsigned char *quantity = (const unsigned char *)PQgetvalue(r, row, QUANTITY);
    int failed = dec_from_pg(quantity, (size_t)PQgetlength(r, row, QUANTITY), &s->quantity);
    assert(!failed); /* the column is numeric(38,9), and claims write no NaN */
    (void)failed;
    s->identifier = xstrdup(PQgetvalue(r, row, IDENTIFIER));
    s->customer = xstrdup(PQgetvalue(r, row, CUSTOMER));
    s->event_name = xstrdup(PQgetvalue(r, row, EVENT_NAME));
    s->body = xstrdup(PQgetvalue(r, row, BODY));
    if (!PQgetisnull(r, row, SUBSCRIPTION_ITEM))
        s->subscription_item = xstrdup(PQgetvalue(r, row, SUBSCRIPTION_ITEM));
    s->transport = transport;
    s->attempt = pg_get_i64(r, row, ATTEMPTS);
    s->sent_before = pg_get_i64(r, row, SENT_BEFORE);
    s->spent_keys = pg_get_i64(r, row, SPENT_KEYS);
    return s;
}

/* What may not be sent any more was given its state instead of being picked. */
static void log_retired(const PGresult *r, int row)
{
    const char *state = PQgetvalue(r, row, STATE);
    bool doubted = !strcmp(state, "in_doubt");
    enum log_event event = doubted ? LOG_OF_send_doubted : LOG_OF_send_refused;
    log_event(
        LOG_ERROR, !strcmp(state, "late") ? LOG_OF_send_expired : event,
        LOG_STR("identifier", PQgetvalue(r, row, IDENTIFIER)),
        LOG_STR("customer", PQgetvalue(r, row, CUSTOMER)),
        LOG_I64("attempt", pg_get_i64(r, row, ATTEMPTS)),
        LOG_STR("last_error", doubted ? PQgetvalue(r, row, LAST_ERROR) : NULL),
        LOG_MSG(doubted ? "nobody knows whether Stripe has it: it is not sent again, and Stripe is "
                          "asked what it holds for its minute"
                        : PQgetvalue(r, row, LAST_ERROR)));
}

static void read_pick(const PGresult *r, int row, struct store_answer *answer)
{
    int at = transport_index(PQgetvalue(r, row, TRANSPORT));
    assert(at >= 0); /* the statement names this build's transports */
    answer->cost += transport_cost(TRANSPORTS[at]);
    if (strcmp(PQgetvalue(r, row, STATE), "sending") != 0) {
        log_retired(r, row);
        return;
    }
    answer->any = true;
    submission_queue_add_take(&answer->picked[at], read_picked(r, row, TRANSPORTS[at]));
}

static void read_picks(const PGresult *r, struct store_answer *answer)
{
    int rows = PQntuples(r);
    for (int row = 0; row < rows; row++)
        read_pick(r, row, answer);
    if (rows == 0)
        return;
    answer->picks = pg_get_i64(r, 0, PICKS);
    snprintf(answer->ledger, sizeof answer->ledger, "%s", PQgetvalue(r, 0, LEDGER_ID));
    /* The rows are in the order of lanes. */
    answer->customer = xstrdup(PQgetvalue(r, rows - 1, CUSTOMER));
    answer->event_name = xstrdup(PQgetvalue(r, rows - 1, EVENT_NAME));
}

static void take_answer(void *owner, const struct err *error, PGresult **results, int n)
{
    struct exchange t = *(struct exchange *)owner;
    struct store_answer answer = {0};
    (void)n;
    free(owner);
    if (error) {
        t.done(t.owner, error, NULL);
        return;
    }
    if (t.lock_at >= 0) {
        answer.on_hold = pg_get_i64(results[t.lock_at], 0, 1) > 0;
        answer.unchecked = pg_get_i64(results[t.lock_at], 0, 1) < 0;
        read_picks(results[t.lock_at + 1], &answer);
    }
    answer.waits = pg_get_i64(results[t.open_at], 0, 0);
    answer.abandoned = pg_get_i64(results[t.open_at], 0, 1);
    t.done(t.owner, NULL, &answer);
}

static const unsigned SETTLE_TYPES[SETTLE_COLUMNS] = {PG_TEXT, PG_INT8, PG_TEXT, PG_INT8, PG_TEXT,
                                                      PG_TEXT, PG_BOOL, PG_BOOL, PG_BOOL};
static const unsigned TRANSPORT_TYPES[TRANSPORT_COLUMNS] = {PG_TEXT, PG_INT8, PG_BOOL};

static void init_columns(struct pg_array *columns, const unsigned *types, int n)
{
    for (int i = 0; i < n; i++)
        pg_array_init(&columns[i], types[i]);
}

static void done_columns(struct pg_array *columns, int n)
{
    for (int i = 0; i < n; i++)
        pg_array_done(&columns[i]);
}

void submission_store_run(struct session *session, const struct submission_queue *ended,
                          const struct store_terms *terms, store_done_fn done, void *owner)
{
    struct pg_statement s[MAX_STATEMENTS];
    struct pg_array columns[SETTLE_COLUMNS];
    struct pg_array transports[TRANSPORT_COLUMNS];
    unsigned char numbers[2 * NUMBER_SIZE];
    int n = 0;
    struct exchange *t = xcalloc(1, sizeof *t);
    *t = (struct exchange){.done = done, .owner = owner, .lock_at = -1};
    init_columns(columns, SETTLE_TYPES, SETTLE_COLUMNS);
    init_columns(transports, TRANSPORT_TYPES, TRANSPORT_COLUMNS);
    if (ended->count > 0)
        add_settle(&s[n++], ended, terms->owner, columns);
    if (terms->calls > 0) {
        t->lock_at = n;
        pg_statement_init(&s[n], SQL_LOCK_PICKS);
        s[n++].binary_result = true;
        add_pick(&s[n++], terms, numbers, transports);
    }
    t->open_at = n;
    pg_statement_init(&s[n], SQL_READ_OPEN);
    s[n].binary_result = true;
    pg_add_text(&s[n++], terms->owner);
    session_run(session, s, n, DEADLINE_MS, take_answer, t);
    done_columns(columns, SETTLE_COLUMNS);
    done_columns(transports, TRANSPORT_COLUMNS);
}
