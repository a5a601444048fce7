#include "aggregator/maintenance/retention.h"

#include "aggregator/sql.h"
#include "common/clock.h"
#include "common/machine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ASK_EVERY_MS = 600000, RETRY_MS = 60000, DEADLINE_MS = 120000 };

static const struct machine RETENTION = {
    "retention",
    {[RETENTION_RESTS] = {"resting", TO(RETENTION_RESTS) | TO(RETENTION_LISTS)},
     [RETENTION_LISTS] = {"listing", TO(RETENTION_DAYS) | TO(RETENTION_REJECTS)},
     [RETENTION_DAYS] = {"dropping days", TO(RETENTION_REJECTS)},
     [RETENTION_REJECTS] = {"dropping rejects", TO(RETENTION_RESTS)}}};

static void keep_format(char out[KEEP_TEXT_SIZE], int64_t days)
{
    snprintf(out, KEEP_TEXT_SIZE, "%" PRId64 " days", days);
}

void retention_init(struct retention *r, int64_t raw_keep_days, int64_t reject_keep_days)
{
    *r = (struct retention){.state = RETENTION_RESTS};
    keep_format(r->raw_keep, raw_keep_days);
    keep_format(r->reject_keep, reject_keep_days);
}

void retention_done(struct retention *r)
{
    PQclear(r->days);
    r->days = NULL;
}

bool retention_is_due(const struct retention *r, int64_t now_ms)
{
    return now_ms >= r->due_ms;
}

static void rest(struct retention *r)
{
    machine_go(&RETENTION, r->state, RETENTION_RESTS);
    r->due_ms = clock_monotonic_ms() + ASK_EVERY_MS;
}

static void take_claim(struct retention *r, PGresult **result)
{
    if (PQntuples(*result) == 0) {
        rest(r);
        return;
    }
    r->dropped_days = r->events = r->rejected = 0;
    machine_go(&RETENTION, r->state, RETENTION_LISTS);
}

static void take_days(struct retention *r, PGresult **result)
{
    PQclear(r->days);
    r->days = *result;
    *result = NULL;
    r->next = 0;
    machine_go(&RETENTION, r->state, PQntuples(r->days) > 0 ? RETENTION_DAYS : RETENTION_REJECTS);
}

static void take_day(struct retention *r, PGresult **result)
{
    if (!PQgetisnull(*result, 0, 0)) {
        r->dropped_days++;
        r->events += strtoll(PQgetvalue(*result, 0, 0), NULL, 10);
    }
    if (++r->next == PQntuples(r->days))
        machine_go(&RETENTION, r->state, RETENTION_REJECTS);
}

static void take_rejects(struct retention *r, PGresult **result)
{
    int64_t part = strtoll(PQgetvalue(*result, 0, 0), NULL, 10);
    r->rejected += part;
    if (part > 0)
        return;
    log_info(retention_applied, LOG_I64("days", r->dropped_days), LOG_I64("events", r->events),
             LOG_I64("rejected", r->rejected));
    rest(r);
}

/* The same step again, a while later. */
static void retry(struct retention *r, const struct err *error)
{
    r->due_ms = clock_monotonic_ms() + RETRY_MS;
    if (error->kind != ERR_CLOSED && error->kind != ERR_CANCELED &&
        strcmp(error->sqlstate, "55P03") != 0) /* lock_not_available: somebody reads */
        log_warn(maintenance_failed, LOG_STR("job", "retention"), LOG_ERR(error));
}

static void take_step(void *owner, const struct err *error, PGresult **results, int n)
{
    static void (*const TAKE[])(struct retention * r, PGresult * *result) = {
        [RETENTION_RESTS] = take_claim,
        [RETENTION_LISTS] = take_days,
        [RETENTION_DAYS] = take_day,
        [RETENTION_REJECTS] = take_rejects,
    };
    struct retention *r = owner;
    (void)n;
    if (error)
        retry(r, error);
    else
        TAKE[r->state](r, results);
    r->done(r->owner);
}

void retention_run(struct retention *r, struct pg *pg, void (*done)(void *owner), void *owner)
{
    static const char *const SQL[] = {
        [RETENTION_RESTS] = SQL_CLAIM_RETENTION,
        [RETENTION_LISTS] = SQL_LIST_USAGE_DAYS,
        [RETENTION_DAYS] = SQL_DROP_USAGE_DAY,
        [RETENTION_REJECTS] = SQL_DROP_REJECTED_EVENTS,
    };
    r->done = done;
    r->owner = owner;
    struct pg_statement s;
    pg_statement_init(&s, SQL[r->state]);
    if (r->state == RETENTION_DAYS)
        pg_add_text(&s, PQgetvalue(r->days, r->next, 0));
    if (r->state == RETENTION_LISTS || r->state == RETENTION_DAYS)
        pg_add_text(&s, r->raw_keep);
    if (r->state == RETENTION_REJECTS)
        pg_add_text(&s, r->reject_keep);
    pg_run(pg, &s, 1, DEADLINE_MS, take_step, r);
}
