#include "sink/backlog.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/metric_table.h"
#include "sink/sql.h"

#include <stdlib.h>
#include <string.h>

enum {
    DEADLINE_MS = 20000,
    ALL_PAUSE_MS = 60000, /* reading the totals of open periods takes long where there are many,
                           * and claims need the session: at most 1 % of the time */
    ALL_SHARE = 100
};

static const char *const STATES[] = {"pending",  "sending", "held", "failed",
                                     "in_doubt", "late",    NULL};

static void clear_states(void)
{
    for (int i = 0; STATES[i]; i++)
        metric_set(metric_with(METRIC_OF_SUBMISSIONS, STATES[i]), 0);
}

void backlog_init(struct backlog *b, struct session *session, bool once,
                  void (*done)(void *owner, bool counted), void *owner)
{
    *b = (struct backlog){.session = session, .once = once, .done = done, .owner = owner};
    clear_states();
    metric_set(metric_with(METRIC_OF_OLDEST_WAITING, "submissions"), 0);
}

/* One that is held waits for more usage, which may never come. */
static bool waits_to_be_sent(const char *state)
{
    return !strcmp(state, "pending") || !strcmp(state, "sending");
}

static void export_submissions(const PGresult *rows, int64_t now_ms)
{
    int64_t oldest_ms = now_ms;
    clear_states();
    for (int row = 0; row < PQntuples(rows); row++) {
        const char *state = PQgetvalue(rows, row, 0);
        int64_t at_ms = pg_get_time_ms(rows, row, 2);
        metric_set(metric_with(METRIC_OF_SUBMISSIONS, state), pg_get_i64(rows, row, 1));
        if (waits_to_be_sent(state) && at_ms < oldest_ms)
            oldest_ms = at_ms;
    }
    metric_set(metric_with(METRIC_OF_OLDEST_WAITING, "submissions"), now_ms - oldest_ms);
}

/* What was exported before and is not counted any more is 0 from now on. */
static void export_unclaimed(const PGresult *rows)
{
    metric_clear(METRIC_OF_UNCLAIMED);
    for (int row = 0; row < PQntuples(rows); row++) {
        char *labels = xasprintf("metric=\"%s\",reason=\"%s\",age=\"%s\"", PQgetvalue(rows, row, 0),
                                 PQgetvalue(rows, row, 1), PQgetvalue(rows, row, 2));
        metric_set(metric_of(METRIC_OF_UNCLAIMED, labels), pg_get_i64(rows, row, 3));
        free(labels);
    }
}

/* Of metrics and of tenants, as count_used.sql tells them apart. */
static void export_used(const PGresult *rows)
{
    metric_drop(METRIC_OF_METRIC_SILENT); /* of one that is out of use, nothing is told any more */
    for (int row = 0; row < PQntuples(rows); row++) {
        bool of_metric = !strcmp(PQgetvalue(rows, row, 0), "metric");
        metric_set(metric_with(of_metric ? METRIC_OF_METRIC_SILENT : METRIC_OF_TENANTS,
                               PQgetvalue(rows, row, 1)),
                   pg_get_i64(rows, row, 2));
    }
}

static void take_counts(void *owner, const struct err *error, PGresult **results, int n)
{
    struct backlog *b = owner;
    b->counting = false;
    b->counted_ms = clock_monotonic_ms();
    if (!error)
        export_submissions(results[0], clock_unix_ms());
    else if (error->kind == ERR_REFUSED)
        log_warn(backlog_count_failed, LOG_STR("sqlstate", error->sqlstate), LOG_ERR(error));
    if (!error && n > 1) {
        export_unclaimed(results[1]);
        export_used(results[2]);
    }
    if (b->all) {
        int64_t rest_ms = (b->counted_ms - b->all_from_ms) * ALL_SHARE;
        b->all_due_ms = b->counted_ms + (rest_ms > ALL_PAUSE_MS ? rest_ms : ALL_PAUSE_MS);
    }
    b->done(b->owner, (!error || error->kind == ERR_REFUSED) && !b->outdated);
}

void backlog_count(struct backlog *b)
{
    struct pg_statement s[3];
    if (b->counting || !session_is_idle(b->session))
        return;
    b->counting = true;
    b->outdated = false;
    b->all_from_ms = clock_monotonic_ms();
    b->all = !b->once && b->all_from_ms >= b->all_due_ms;
    pg_statement_init(&s[0], SQL_COUNT_SUBMISSIONS);
    pg_statement_init(&s[1], SQL_COUNT_UNCLAIMED);
    pg_statement_init(&s[2], SQL_COUNT_USED);
    s[0].binary_result = s[1].binary_result = s[2].binary_result = true;
    session_run(b->session, s, b->all ? 3 : 1, DEADLINE_MS, take_counts, b);
}

void backlog_outdate(struct backlog *b)
{
    b->outdated = true;
}

int64_t backlog_age_ms(const struct backlog *b)
{
    return clock_monotonic_ms() - b->counted_ms;
}

int64_t backlog_pending(void)
{
    return metric_value(metric_with(METRIC_OF_SUBMISSIONS, "pending"));
}

int64_t backlog_open(void)
{
    int64_t n = 0;
    for (int i = 0; STATES[i]; i++)
        n += metric_value(metric_with(METRIC_OF_SUBMISSIONS, STATES[i]));
    return n;
}
