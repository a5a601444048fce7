#include "aggregator/maintenance/maintenance.h"

#include "aggregator/sql.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/metric_table.h"
#include "common/pg/schema.h"

#include <stdlib.h>

enum {
    TICK_MS = 100,
    CHANGES_EVERY_MS = 300,
    PARTITIONS_EVERY_MS = 600000,
    MINUTE = 60000,
    DEADLINE_MS = 20000
};

/* So few at a time that no commit waits long for them. */
static const char CARRY_PAGE[] = "500";
static const char CHANGES_PAGE[] = "500";

static void on_checked(void *owner, const struct err *error)
{
    struct maintenance *m = owner;
    /* members.c logs what is wrong with the schema. */
    m->working = !error && !m->stopped;
    m->carry_due_ms = 0; /* a period may have begun while PostgreSQL was away */
}

static void on_up(void *owner)
{
    struct maintenance *m = owner;
    m->working = false;
    schema_check(m->pg, on_checked, m);
}

static void on_down(void *owner, const struct err *error)
{
    struct maintenance *m = owner;
    (void)error;
    m->working = false;
}

static void log_failed(const char *job, const struct err *error)
{
    if (error->kind != ERR_CLOSED && error->kind != ERR_CANCELED)
        log_warn(maintenance_failed, LOG_STR("job", job), LOG_ERR(error));
}

/* Is a job due? Then it is due again one interval from now. */
static bool is_due(int64_t *due_ms, int64_t now_ms, int64_t every_ms)
{
    if (now_ms < *due_ms)
        return false;
    *due_ms = now_ms + every_ms;
    return true;
}

static void take_partitions(void *owner, const struct err *error, PGresult **results, int n)
{
    (void)n;
    if (error)
        log_failed("partitions", error);
    else
        metric_set(metric_of(METRIC_OF_DATABASE, ""),
                   strtoll(PQgetvalue(results[0], 0, 1), NULL, 10));
    maintenance_poke(owner);
}

static void take_carried(void *owner, const struct err *error, PGresult **results, int n)
{
    struct maintenance *m = owner;
    if (error)
        log_failed("carry", error);
    else if (n > 0 && PQntuples(results[0]) > 0)
        m->carry_due_ms = 0; /* there may be more */
    for (int i = 0; i < n; i++)
        quota_note_rows(&m->quota, results[i]);
    maintenance_poke(m);
}

/* If this process dies before it has written them, the next round over all tenants does. */
static void take_changes(void *owner, const struct err *error, PGresult **results, int n)
{
    struct maintenance *m = owner;
    if (error)
        log_failed("window_changes", error);
    else if (n > 0 && PQntuples(results[0]) > 0)
        m->changes_due_ms = 0; /* there may be more */
    for (int i = 0; i < n; i++)
        quota_note_unsure(&m->quota, results[i]);
    maintenance_poke(m);
}

static void run_job(struct maintenance *m, const char *sql, const char *parameter, pg_done_fn done)
{
    struct pg_statement s;
    pg_statement_init(&s, sql);
    if (parameter)
        pg_add_text(&s, parameter);
    pg_run(m->pg, &s, 1, DEADLINE_MS, done, m);
}

void maintenance_poke(void *maintenance)
{
    struct maintenance *m = maintenance;
    int64_t now_ms = clock_monotonic_ms();
    if (!m->working || !pg_is_ready(m->pg) || !m->has_stream(m->owner))
        return;
    if (is_due(&m->heal_due_ms, now_ms, MINUTE))
        quota_heal(&m->quota);
    if (is_due(&m->partitions_due_ms, now_ms, PARTITIONS_EVERY_MS))
        run_job(m, SQL_ENSURE_PARTITIONS, NULL, take_partitions);
    else if (is_due(&m->carry_due_ms, now_ms, MINUTE))
        run_job(m, SQL_OPEN_CARRIED, CARRY_PAGE, take_carried);
    else if (m->quota.noted.count == 0 && is_due(&m->changes_due_ms, now_ms, CHANGES_EVERY_MS))
        run_job(m, SQL_TAKE_WINDOW_CHANGES, CHANGES_PAGE, take_changes);
    else if (quota_has_work(&m->quota) && redis_router_is_up(m->redis))
        quota_run(&m->quota, m->pg, m->redis, maintenance_poke, m);
    else if (m->retains && retention_is_due(&m->retention, now_ms) && !m->is_behind(m->owner))
        retention_run(&m->retention, m->pg, maintenance_poke, m);
    else if (m->on_idle)
        m->on_idle(m->owner);
}

void maintenance_scrape(struct maintenance *m)
{
    quota_scrape(&m->quota, m->has_stream(m->owner));
}

static void on_tick(uv_timer_t *timer)
{
    maintenance_poke(timer->data);
}

void maintenance_open(struct maintenance *m, uv_loop_t *loop, const char *database_url,
                      const unsigned char key[16], bool (*has_stream)(void *owner), void *owner)
{
    *m = (struct maintenance){.has_stream = has_stream, .owner = owner};
    quota_init(&m->quota, key);
    m->pg = pg_open(loop, database_url, "meterline_aggregator", "meterline-aggregator maintenance",
                    (struct pg_events){.on_up = on_up, .on_down = on_down, .owner = m});
    uv_timer_init(loop, &m->tick);
    m->tick.data = m;
    uv_timer_start(&m->tick, on_tick, TICK_MS, TICK_MS);
}

void maintenance_stop(struct maintenance *m)
{
    m->working = false;
    m->stopped = true;
}

void maintenance_close(struct maintenance *m, struct closing *closing)
{
    maintenance_stop(m);
    closing_handle(closing, &m->tick);
    pg_close(m->pg, closing_part_closed, closing_part(closing));
}

void maintenance_done(struct maintenance *m)
{
    quota_done(&m->quota);
    retention_done(&m->retention);
}
