/*      RESTING --timer--> LISTING --due--> LOADING --> WRITING --> RESTING
 *         ^                  |
 *         +----- not due ----+
 *
 * The happy path: the event names are read, Stripe's meters are listed, and the names of meters
 * that are at fault are written to meter_holds, which every sink obeys when it picks.
 *
 * The failure modes: PostgreSQL or Stripe is away, or our key may not list meters. What was held
 * stays held, the failure is logged once a minute, and the look is made again. */
#include "sink/send/meter_watch.h"

#include "common/clock.h"
#include "common/closing.h"
#include "common/log.h"
#include "common/machine.h"
#include "common/metric_table.h"
#include "common/pg/pg_array.h"
#include "common/stripe/stripe_usage.h"
#include "sink/sql.h"

#include <stdlib.h>
#include <string.h>

enum {
    LIST_MS = 2500,
    DEADLINE_MS = 20000,
    PAUSE_MS = 300000,
    HELD_PAUSE_MS = 2500,      /* at first, then a tenth of the time that something is held … */
    HELD_PAUSE_MAX_MS = 60000, /* … at most */
    FAILURE_PAUSE_MS = 10000,
    PATIENCE_MS = 10000,   /* nothing is sent before the first look, for so long at most */
    ASKED_PAUSE_MS = 5000, /* at least, between two looks */
    LOG_PAUSE_MS = 60000   /* between two lines of one that stays held */
};
enum watch_state { RESTING, LISTING, LOADING, WRITING };

static const struct machine WATCH = {"meter_watch",
                                     {[RESTING] = {"resting", TO(LISTING)},
                                      [LISTING] = {"listing", TO(LOADING) | TO(RESTING)},
                                      [LOADING] = {"loading", TO(WRITING) | TO(RESTING)},
                                      [WRITING] = {"writing", TO(RESTING)}}};

struct meter_watch {
    struct session *session;
    struct stripe_access access;
    struct stripe_api *api;
    struct stripe_usage *usage;
    uv_timer_t timer;
    enum watch_state state;
    bool stopping;
    bool answered;     /* meter_watch_has_answered */
    bool asked;        /* meter_watch_look, since the last look */
    bool changed;      /* the catalog has other names than at the last look */
    bool looking;      /* the list under way is for a look */
    PGresult *names;   /* of the look under way */
    struct buf seen;   /* the catalog's names at the last look, and what counts of each */
    int held;          /* event names, as last written, … */
    int waited_for;    /* … those of them that usage waits for, … */
    struct buf why;    /* … and what is wrong with these, a line each */
    struct buf logged; /* all that is held, as last logged */
    /* All monotonic. */
    int64_t opened_ms;
    int64_t held_ms;   /* since when something is held, and the same */
    int64_t logged_ms; /* when that was last logged */
    int64_t begun_ms;  /* of the last look … */
    int64_t due_ms;    /* … and when the next one is due in any case */
    struct log_repeat failures;
    void (*on_change)(void *owner);
    void *owner;
    struct closing closing;
};

/* Columns of list_meters.sql and of hold_meters.sql. */
enum { EVENT_NAME, METRIC, NEWEST, RANK };
enum { HELD_EVENT_NAME, HELD_METRIC, HELD_WHY, HELD, HELD_WAITS };

static void rest(struct meter_watch *w)
{
    PQclear(w->names);
    w->names = NULL;
    machine_go(&WATCH, w->state, RESTING);
}

static void fail(struct meter_watch *w, const struct err *error)
{
    uint64_t suppressed;
    int64_t now_ms = clock_monotonic_ms();
    w->due_ms = now_ms + FAILURE_PAUSE_MS;
    if (error->kind != ERR_CANCELED && log_repeat_failed(&w->failures, now_ms, &suppressed))
        log_warn(meters_not_read, LOG_STR("sqlstate", *error->sqlstate ? error->sqlstate : NULL),
                 LOG_U64("held_back", suppressed), LOG_ERR(error));
    rest(w);
    w->answered = true; /* what is held from before is, and refusals tell of the rest */
    if (error->kind != ERR_CANCELED)
        w->on_change(w->owner);
}

static bool is_true(const PGresult *rows, int row, int column)
{
    return *PQgetvalue(rows, row, column) == 't';
}

/* Where nothing waits for it, a meter that is missing is no fault yet. */
static void log_row(const PGresult *rows, int row, bool held)
{
    const char *event_name = PQgetvalue(rows, row, HELD_EVENT_NAME);
    const char *metric = PQgetvalue(rows, row, HELD_METRIC);
    if (held)
        log_at(is_true(rows, row, HELD_WAITS) ? LOG_ERROR : LOG_WARN, meter_held,
               LOG_STR("metric", metric), LOG_STR("event_name", event_name),
               LOG_MSG(PQgetvalue(rows, row, HELD_WHY)));
    else
        log_info(meter_freed, LOG_STR("metric", metric), LOG_STR("event_name", event_name),
                 LOG_MSG("its meter is as it should be: usage that waited for it is sent"));
}

static bool is_same(const struct buf *a, const struct buf *b)
{
    return a->length == b->length && (a->length == 0 || memcmp(a->data, b->data, a->length) == 0);
}

static void count_row(struct meter_watch *w, struct buf *list, const PGresult *rows, int row)
{
    const char *metric = PQgetvalue(rows, row, HELD_METRIC);
    const char *why = PQgetvalue(rows, row, HELD_WHY);
    if (!is_true(rows, row, HELD))
        return;
    w->held++;
    buf_printf(list, "%s%s: %s\n", PQgetvalue(rows, row, HELD_WAITS), metric, why);
    if (!is_true(rows, row, HELD_WAITS))
        return;
    w->waited_for++;
    buf_printf(&w->why, "held: %s: %s\n", metric, why);
}

/* What stays held while usage waits for it is logged once a minute. */
static void take_rows(struct meter_watch *w, const PGresult *rows, int64_t now_ms)
{
    struct buf list = {0};
    w->held = w->waited_for = 0;
    buf_clear(&w->why);
    for (int row = 0; row < PQntuples(rows); row++)
        count_row(w, &list, rows, row);
    bool same = is_same(&list, &w->logged);
    bool again = now_ms - w->logged_ms >= LOG_PAUSE_MS;
    for (int row = 0; row < PQntuples(rows); row++)
        if (!same || !is_true(rows, row, HELD) || (again && is_true(rows, row, HELD_WAITS)))
            log_row(rows, row, is_true(rows, row, HELD));
    w->logged_ms = !same || again ? now_ms : w->logged_ms;
    w->held_ms = same ? w->held_ms : now_ms;
    buf_done(&w->logged);
    w->logged = list;
}

/* What was just found at fault may be set right at any moment; what is so for hours will be for
 * some more. */
static int64_t pause_ms(const struct meter_watch *w, int64_t now_ms)
{
    int64_t held_ms = (now_ms - w->held_ms) / 10;
    if (w->held == 0)
        return PAUSE_MS;
    if (held_ms > HELD_PAUSE_MAX_MS)
        return HELD_PAUSE_MAX_MS;
    return held_ms > HELD_PAUSE_MS ? held_ms : HELD_PAUSE_MS;
}

static void take_written(void *owner, const struct err *error, PGresult **results, int n)
{
    struct meter_watch *w = owner;
    int64_t now_ms = clock_monotonic_ms();
    (void)n;
    if (error) {
        fail(w, error);
        return;
    }
    log_repeat_recovered(&w->failures);
    take_rows(w, results[0], now_ms);
    metric_set(metric_of(METRIC_OF_METERS_HELD, ""), w->waited_for);
    w->due_ms = w->begun_ms + pause_ms(w, now_ms);
    w->answered = true;
    rest(w);
    w->on_change(w->owner);
}

static void add_faults(const struct meter_watch *w, struct pg_array columns[3])
{
    struct err e;
    for (int row = 0; row < PQntuples(w->names); row++) {
        const char *event_name = PQgetvalue(w->names, row, EVENT_NAME);
        bool newest = *PQgetvalue(w->names, row, NEWEST) == 't';
        if (stripe_usage_check_meter(w->usage, event_name, newest, &e) == 0)
            continue;
        pg_array_add_text(&columns[0], event_name);
        pg_array_add_text(&columns[1], PQgetvalue(w->names, row, METRIC));
        pg_array_add_text(&columns[2], e.text);
    }
}

static void take_meters(void *owner, const struct err *error)
{
    struct meter_watch *w = owner;
    struct pg_statement s;
    struct pg_array columns[3];
    if (error) {
        fail(w, error);
        return;
    }
    if (!session_is_idle(w->session)) {
        w->due_ms = 0; /* it is away: once it is back, all is looked at again */
        rest(w);
        return;
    }
    for (int i = 0; i < 3; i++)
        pg_array_init(&columns[i], PG_TEXT);
    add_faults(w, columns);
    machine_go(&WATCH, w->state, WRITING);
    pg_statement_init(&s, SQL_HOLD_METERS);
    for (int i = 0; i < 3; i++)
        pg_add_array(&s, &columns[i]);
    session_run(w->session, &s, 1, DEADLINE_MS, take_written, w);
    for (int i = 0; i < 3; i++)
        pg_array_done(&columns[i]);
}

static void list_names(const PGresult *names, struct buf *list)
{
    for (int row = 0; row < PQntuples(names); row++)
        if (!strcmp(PQgetvalue(names, row, RANK), "1"))
            buf_printf(list, "%s %s\n", PQgetvalue(names, row, EVENT_NAME),
                       PQgetvalue(names, row, NEWEST));
}

static void run_list(void *owner);

static void look(struct meter_watch *w, const PGresult *names, struct buf *list)
{
    buf_done(&w->seen);
    w->seen = *list;
    w->asked = w->changed = false;
    w->begun_ms = clock_monotonic_ms();
    w->names = PQcopyResult(names, PG_COPYRES_ATTRS | PG_COPYRES_TUPLES);
    machine_go(&WATCH, w->state, LOADING);
    stripe_usage_load(w->usage, take_meters, w);
}

static void take_names(void *owner, const struct err *error, PGresult **results, int n)
{
    struct meter_watch *w = owner;
    struct buf list = {0};
    (void)n;
    if (error) {
        fail(w, error);
        return;
    }
    list_names(results[0], &list);
    w->changed = !is_same(&list, &w->seen);
    if (w->looking && !w->stopping) {
        look(w, results[0], &list);
        return;
    }
    buf_done(&list);
    rest(w);
    if (w->changed)
        run_list(w);
}

/* Between looks only the catalog is asked, which is cheap. */
static void run_list(void *owner)
{
    struct meter_watch *w = owner;
    struct pg_statement s;
    int64_t now_ms = clock_monotonic_ms();
    if (w->stopping || w->state != RESTING || !session_is_idle(w->session))
        return;
    machine_go(&WATCH, w->state, LISTING);
    w->looking =
        w->changed || now_ms >= w->due_ms || (w->asked && now_ms >= w->begun_ms + ASKED_PAUSE_MS);
    pg_statement_init(&s, SQL_LIST_METERS);
    pg_add_text(&s, w->looking ? "t" : "f");
    session_run(w->session, &s, 1, DEADLINE_MS, take_names, w);
}

/* What cannot be looked at so soon is sent all the same: refusals will tell. */
static void on_timer(uv_timer_t *timer)
{
    struct meter_watch *w = timer->data;
    run_list(w);
    if (w->answered || clock_monotonic_ms() - w->opened_ms < PATIENCE_MS)
        return;
    w->answered = true;
    w->on_change(w->owner);
}

struct meter_watch *meter_watch_open(struct stage *stage, const struct config *config,
                                     void (*on_change)(void *owner), void *owner)
{
    struct meter_watch *w = xcalloc(1, sizeof *w);
    w->on_change = on_change;
    w->owner = owner;
    w->opened_ms = clock_monotonic_ms();
    w->access = (struct stripe_access){.key = &config->stripe_secret_key,
                                       .base = config->stripe_api_base,
                                       .version = config->stripe_api_version,
                                       .rate_per_s = config->reconcile_rate_per_s};
    w->api = stripe_api_open(stage_loop(stage), &w->access);
    w->usage = stripe_usage_new(w->api);
    w->session = session_open(stage, config->base.database_url, "meters",
                              (struct session_events){.on_usable = run_list, .owner = w});
    uv_timer_init(stage_loop(stage), &w->timer);
    w->timer.data = w;
    uv_timer_start(&w->timer, on_timer, LIST_MS, LIST_MS);
    metric_set(metric_of(METRIC_OF_METERS_HELD, ""), 0);
    return w;
}

void meter_watch_look(struct meter_watch *w)
{
    w->asked = true;
    if (clock_monotonic_ms() >= w->begun_ms + ASKED_PAUSE_MS)
        run_list(w);
}

bool meter_watch_has_answered(const struct meter_watch *w)
{
    return w->answered;
}

int meter_watch_held(const struct meter_watch *w, struct buf *why)
{
    if (why && w->why.length > 0)
        buf_add(why, w->why.data, w->why.length);
    return w->held;
}

void meter_watch_stop(struct meter_watch *w)
{
    w->stopping = true;
}

static void release(void *self)
{
    struct meter_watch *w = self;
    stripe_usage_free(w->usage);
    PQclear(w->names);
    buf_done(&w->seen);
    buf_done(&w->why);
    buf_done(&w->logged);
    free(w);
}

void meter_watch_close(struct meter_watch *w, void (*closed)(void *owner), void *owner)
{
    w->stopping = true;
    closing_begin(&w->closing, w, release, closed, owner);
    closing_handle(&w->closing, &w->timer);
    session_close(w->session, closing_part_closed, closing_part(&w->closing));
    stripe_api_close(w->api, closing_part_closed, closing_part(&w->closing));
    closing_end(&w->closing);
}
