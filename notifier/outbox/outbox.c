#include "notifier/outbox/outbox.h"

#include "common/backoff.h"
#include "common/clock.h"
#include "common/closing.h"
#include "common/log.h"
#include "common/machine.h"
#include "common/metric_table.h"
#include "common/pg/pg.h"
#include "common/pg/pg_array.h"
#include "notifier/sql.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEADLINE_MS = 20000,
    LOOK_MS = 1000, /* for those that were put off, and those of a process that died */
    LOOK_OFTEN_MS = 500,
    RETRY_MS = 2000, /* after PostgreSQL refused */
    SETTLE_MAX = 1000,
    NUMBER_SIZE = 8,
    MESSAGE_COLUMNS = 5,
    ADDRESS_COLUMNS = 4
};

enum outbox_state { RESTING, CLAIMING, SETTLING };

static const struct machine OUTBOX = {"outbox",
                                      {[RESTING] = {"resting", TO(CLAIMING) | TO(SETTLING)},
                                       [CLAIMING] = {"claiming", TO(RESTING)},
                                       [SETTLING] = {"settling", TO(RESTING)}}};

struct outbox {
    const struct context *context;
    struct outbox_terms terms;
    struct pg *pg;
    uv_timer_t timer;
    enum outbox_state state;
    int in_flight;
    int failing_in_flight; /* … to addresses that took nothing last time */
    bool due;              /* messages are to be looked for at the next step */
    uint64_t look_ms;      /* … and then, in the loop's time */
    struct message *ended; /* in order, but to be settled in any */
    struct message *settling;
    struct log_repeat refused;
    struct log_causes delays;
    struct closing closing;
};

/* What is told. */

static const char *const OUTCOMES[] = {[MESSAGE_SENT] = "sent",
                                       [MESSAGE_DELAYED] = "delayed",
                                       [MESSAGE_ADDRESS_DOWN] = "delayed",
                                       [MESSAGE_CHANNEL_DOWN] = "delayed",
                                       [MESSAGE_REFUSED] = "failed"};

static const char *state_of(const struct message *m)
{
    if (m->end == MESSAGE_SENT)
        return "sent";
    return m->wait_ms < 0 ? "failed" : "waiting";
}

static void count_attempt(const struct outbox *o, const char *outcome, int n)
{
    struct buf labels = {0};
    buf_printf(&labels, "channel=\"%s\",outcome=\"%s\"", o->terms.channel, outcome);
    metric_add(metric_of(METRIC_OF_MESSAGES_TRIED, labels.data), n);
    buf_done(&labels);
}

static void tell_end(struct outbox *o, const struct message *m)
{
    uint64_t held;
    bool failed = !strcmp(state_of(m), "failed");
    count_attempt(o, failed ? "failed" : OUTCOMES[m->end], 1);
    if (m->end == MESSAGE_SENT)
        metric_observe(metric_with(METRIC_OF_MESSAGE_SECONDS, o->terms.channel),
                       clock_unix_ms() - m->created_ms);
    else if (failed)
        log_warn(message_failed, LOG_STR("channel", o->terms.channel), LOG_STR("message", m->id),
                 LOG_STR("kind", m->kind), LOG_STR("tenant", m->tenant),
                 LOG_I64("attempts", m->attempts), LOG_MSG(m->error));
    else if (log_cause_failed(&o->delays, m->error, clock_monotonic_ms(), &held))
        log_warn(message_delayed, LOG_STR("channel", o->terms.channel), LOG_STR("message", m->id),
                 LOG_STR("kind", m->kind), LOG_STR("tenant", m->tenant),
                 LOG_I64("attempts", m->attempts), LOG_I64("wait_ms", m->wait_ms),
                 LOG_U64("held_back", held), LOG_MSG(m->error));
}

/* The machine. */

static void step(struct outbox *o);

static void on_timer(uv_timer_t *timer)
{
    step(timer->data);
}

static void rest(struct outbox *o)
{
    machine_go(&OUTBOX, o->state, RESTING);
    if (!closing_has_begun(&o->closing))
        uv_timer_start(&o->timer, on_timer, 0, 0);
}

static void look_in(struct outbox *o, uint64_t wait_ms)
{
    o->due = false;
    o->look_ms = uv_now(o->timer.loop) + wait_ms;
}

static void tell_refusal(struct outbox *o, const struct err *error)
{
    uint64_t held;
    if (error->kind == ERR_REFUSED && log_repeat_failed(&o->refused, clock_monotonic_ms(), &held))
        log_error(outbox_refused, LOG_STR("channel", o->terms.channel), LOG_U64("held_back", held),
                  LOG_STR("sqlstate", error->sqlstate), LOG_ERR(error));
}

static void free_list(struct message **list)
{
    struct message *next;
    for (struct message *m = *list; m; m = next) {
        next = m->next;
        message_free(m);
    }
    *list = NULL;
}

static void tell_settled(const struct outbox *o)
{
    int sent = 0, delayed = 0, failed = 0;
    for (const struct message *m = o->settling; m; m = m->next)
        if (m->end == MESSAGE_SENT)
            sent++;
        else if (m->wait_ms < 0)
            failed++;
        else
            delayed++;
    log_info(messages_settled, LOG_STR("channel", o->terms.channel), LOG_I64("sent", sent),
             LOG_I64("delayed", delayed), LOG_I64("failed", failed));
}

static void take_settled(void *owner, const struct err *error, PGresult **results, int n)
{
    struct outbox *o = owner;
    (void)results, (void)n;
    if (error) {
        struct message **last = &o->settling;
        while (*last)
            last = &(*last)->next;
        *last = o->ended;
        o->ended = o->settling;
        o->settling = NULL;
        tell_refusal(o, error);
        look_in(o, RETRY_MS);
    } else {
        log_repeat_recovered(&o->refused);
        tell_settled(o);
        free_list(&o->settling);
        o->due = true;
    }
    rest(o);
}

static void add_error(struct pg_array *a, const char *text)
{
    if (*text)
        pg_array_add_text(a, text);
    else
        pg_array_add_null(a);
}

static void add_message(struct pg_array columns[MESSAGE_COLUMNS], const struct message *m)
{
    pg_array_add_text(&columns[0], m->id);
    pg_array_add_i64(&columns[1], m->attempts);
    pg_array_add_text(&columns[2], state_of(m));
    pg_array_add_i64(&columns[3], m->wait_ms < 0 ? 0 : m->wait_ms);
    add_error(&columns[4], m->error);
}

/* A refusal says nothing of the address: it answered. */
static void add_address(struct pg_array columns[ADDRESS_COLUMNS], const struct message *m)
{
    const unsigned char failed = m->end == MESSAGE_ADDRESS_DOWN;
    if (!failed && m->failures == 0)
        return;
    pg_array_add_text(&columns[0], m->destination);
    pg_array_add(&columns[1], &failed, sizeof failed);
    pg_array_add_i64(&columns[2], m->failures);
    pg_array_add_i64(&columns[3], failed ? m->address_wait_ms : 0);
}

static void add_given_up(struct pg_array columns[2], const struct message *m)
{
    if (m->end != MESSAGE_ADDRESS_DOWN)
        return;
    pg_array_add_text(&columns[0], m->destination);
    pg_array_add_text(&columns[1], m->error);
}

static void add_arrays(struct pg_statement *s, struct pg_array *columns, int n)
{
    for (int i = 0; i < n; i++)
        pg_add_array(s, &columns[i]);
}

static void init_arrays(struct pg_array *columns, const unsigned *types, int n)
{
    for (int i = 0; i < n; i++)
        pg_array_init(&columns[i], types[i]);
}

static void done_arrays(struct pg_array *columns, int n)
{
    for (int i = 0; i < n; i++)
        pg_array_done(&columns[i]);
}

/* Messages first, addresses behind: with several notifiers the rows are always locked in that
 * order. */
static void run_settle(struct outbox *o)
{
    static const unsigned TYPES[] = {PG_TEXT, PG_INT8, PG_TEXT, PG_INT8, PG_TEXT};
    static const unsigned ADDRESS_TYPES[] = {PG_TEXT, PG_BOOL, PG_INT8, PG_INT8};
    struct pg_array messages[MESSAGE_COLUMNS], addresses[ADDRESS_COLUMNS], down[2];
    struct pg_statement s[3];
    unsigned char number[NUMBER_SIZE];
    machine_go(&OUTBOX, o->state, SETTLING);
    init_arrays(messages, TYPES, MESSAGE_COLUMNS);
    init_arrays(addresses, ADDRESS_TYPES, ADDRESS_COLUMNS);
    init_arrays(down, (const unsigned[]){PG_TEXT, PG_TEXT}, 2);
    struct message **last = &o->ended;
    for (int n = 0; *last && n < SETTLE_MAX; n++, last = &(*last)->next) {
        add_message(messages, *last);
        if (o->terms.each > 0) {
            add_address(addresses, *last);
            add_given_up(down, *last);
        }
    }
    o->settling = o->ended;
    o->ended = *last;
    *last = NULL;
    int n = 1;
    pg_statement_init(&s[0], SQL_SETTLE_MESSAGES);
    pg_add_text(&s[0], o->terms.channel);
    add_arrays(&s[0], messages, MESSAGE_COLUMNS);
    if (addresses[0].count > 0) {
        pg_statement_init(&s[n], SQL_SETTLE_ADDRESSES);
        pg_add_text(&s[n], o->terms.channel);
        add_arrays(&s[n++], addresses, ADDRESS_COLUMNS);
    }
    if (down[0].count > 0) {
        pg_statement_init(&s[n], SQL_GIVE_UP_MESSAGES);
        pg_add_text(&s[n], o->terms.channel);
        add_arrays(&s[n], down, 2);
        pg_add_i64(&s[n++], o->terms.retry.give_up_ms, number);
    }
    pg_run(o->pg, s, n, DEADLINE_MS, take_settled, o);
    done_arrays(messages, MESSAGE_COLUMNS);
    done_arrays(addresses, ADDRESS_COLUMNS);
    done_arrays(down, 2);
}

static void take_claimed(void *owner, const struct err *error, PGresult **results, int n)
{
    struct outbox *o = owner;
    (void)n;
    if (error) {
        tell_refusal(o, error);
        look_in(o, RETRY_MS);
        rest(o);
        return;
    }
    log_repeat_recovered(&o->refused);
    int rows = PQntuples(results[0]);
    if (rows == 0 && !o->due) /* else it was woken meanwhile */
        look_in(o, o->context->is_told ? LOOK_MS : LOOK_OFTEN_MS);
    else
        o->due = true;
    rest(o);
    for (int row = 0; row < rows; row++) {
        struct message *m = message_read(results[0], row);
        o->in_flight++;
        o->failing_in_flight += m->failures > 0;
        o->terms.deliver(o->terms.owner, m);
    }
}

/* Addresses that took nothing last time have a quarter of the places. */
static void run_claim(struct outbox *o)
{
    unsigned char numbers[4][NUMBER_SIZE];
    struct pg_statement s;
    int failing = o->terms.most / 4 - o->failing_in_flight;
    machine_go(&OUTBOX, o->state, CLAIMING);
    o->due = false;
    pg_statement_init(&s, o->terms.each > 0 ? SQL_CLAIM_ADDRESSED : SQL_CLAIM_MESSAGES);
    s.binary_result = true;
    pg_add_text(&s, o->terms.channel);
    pg_add_i64(&s, o->terms.most - o->in_flight, numbers[0]);
    pg_add_i64(&s, o->terms.lease_ms, numbers[1]);
    if (o->terms.each > 0) {
        pg_add_i64(&s, o->terms.each, numbers[2]);
        pg_add_i64(&s, failing > 0 ? failing : 0, numbers[3]);
    }
    pg_run(o->pg, &s, 1, DEADLINE_MS, take_claimed, o);
}

static bool may_claim(const struct outbox *o)
{
    return !stage_is_draining(o->context->stage) && o->in_flight < o->terms.most &&
           o->terms.ready(o->terms.owner);
}

static void step(struct outbox *o)
{
    uint64_t now_ms = uv_now(o->timer.loop);
    if (o->state != RESTING || closing_has_begun(&o->closing))
        return;
    bool look = o->due || now_ms >= o->look_ms;
    if (!o->context->schema_ready || !pg_is_ready(o->pg))
        uv_timer_start(&o->timer, on_timer, LOOK_MS, 0); /* on_up is sooner */
    else if (o->ended && (look || o->in_flight == 0))
        run_settle(o);
    else if (look && may_claim(o))
        run_claim(o);
    else
        uv_timer_start(&o->timer, on_timer, look ? LOOK_MS : o->look_ms - now_ms, 0);
    o->context->on_idle(o->context->owner);
}

void outbox_wake(struct outbox *o)
{
    o->due = true;
    if (o->state == RESTING && !closing_has_begun(&o->closing))
        uv_timer_start(&o->timer, on_timer, 0, 0);
}

void outbox_ended(struct outbox *o, struct message *m, enum message_end end, const char *why)
{
    m->end = end;
    (void)snprintf(m->error, sizeof m->error, "%s", why ? why : "");
    str_make_utf8(m->error); /* the peer's words, maybe cut within a character */
    retry_rule(&o->terms.retry, m, backoff_random());
    o->in_flight--;
    o->failing_in_flight -= m->failures > 0;
    if (closing_has_begun(&o->closing)) { /* its lease runs out, and it is sent again */
        message_free(m);
        closing_part_closed(&o->closing);
        return;
    }
    if (end == MESSAGE_SENT)
        stage_crash_point("message_sent");
    tell_end(o, m);
    m->next = o->ended;
    o->ended = m;
    outbox_wake(o);
}

static void on_up(void *owner)
{
    outbox_wake(owner);
}

struct outbox *outbox_open(const struct context *context, const struct outbox_terms *terms)
{
    struct outbox *o = xcalloc(1, sizeof *o);
    o->context = context;
    o->terms = *terms;
    for (size_t i = 0; i < sizeof OUTCOMES / sizeof *OUTCOMES; i++)
        count_attempt(o, OUTCOMES[i], 0);
    uv_timer_init(stage_loop(context->stage), &o->timer);
    o->timer.data = o;
    char *name = xasprintf("meterline-notifier-%s", terms->channel);
    o->pg = pg_open(stage_loop(context->stage), context->config->base.database_url, NOTIFIER_ROLE,
                    name, (struct pg_events){.on_up = on_up, .owner = o});
    free(name);
    return o;
}

bool outbox_is_idle(const struct outbox *o)
{
    return o->state == RESTING && o->in_flight == 0 && (!o->ended || !pg_is_up(o->pg));
}

bool outbox_is_ready(const struct outbox *o)
{
    return pg_is_up(o->pg);
}

static void release(void *self)
{
    struct outbox *o = self;
    free_list(&o->ended);
    free_list(&o->settling);
    free(o);
}

void outbox_close(struct outbox *o)
{
    closing_begin(&o->closing, o, release, NULL, NULL);
    for (int i = 0; i < o->in_flight; i++)
        closing_part(&o->closing);
    closing_handle(&o->closing, &o->timer);
    pg_close(o->pg, closing_part_closed, closing_part(&o->closing));
    closing_end(&o->closing);
}
