#include "aggregator/maintenance/maintenance.h"

#include "aggregator/sql.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/pg/schema.h"

#include <stdlib.h>

enum { TICK_MS = 100, PARTITIONS_EVERY_MS = 600000, MINUTE = 60000, DEADLINE_MS = 20000 };

/* So many a time that nobody who counts waits long. */
static const char CARRY_PAGE[] = "500";

static void on_checked(void *owner, const struct err *error)
{
    struct maintenance *u = owner;
    /* The shard's own check reports what is wrong. */
    u->working = !error && !u->stopped;
    u->carry_due_ms = 0; /* a period may have begun while PostgreSQL was away */
}

static void on_up(void *owner)
{
    struct maintenance *u = owner;
    u->working = false;
    schema_check(u->pg, on_checked, u);
}

static void on_down(void *owner, const struct err *error)
{
    struct maintenance *u = owner;
    (void)error;
    u->working = false;
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
    (void)results;
    (void)n;
    if (error)
        log_failed("partitions", error);
    maintenance_poke(owner);
}

static void take_carried(void *owner, const struct err *error, PGresult **results, int n)
{
    struct maintenance *u = owner;
    if (error)
        log_failed("carry", error);
    else if (n > 0 && PQntuples(results[0]) > 0)
        u->carry_due_ms = 0; /* there may be more */
    for (int i = 0; i < n; i++)
        quota_note_rows(&u->quota, results[i]);
    maintenance_poke(u);
}

static void run_job(struct maintenance *u, const char *sql, const char *parameter, pg_done_fn done)
{
    struct pg_statement s;
    pg_statement_init(&s, sql);
    if (parameter)
        pg_add_text(&s, parameter);
    pg_run(u->pg, &s, 1, DEADLINE_MS, done, u);
}

void maintenance_poke(void *maintenance)
{
    struct maintenance *u = maintenance;
    int64_t now_ms = clock_monotonic_ms();
    if (!u->working || !pg_is_ready(u->pg) || !u->has_stream(u->owner))
        return;
    if (is_due(&u->heal_due_ms, now_ms, MINUTE))
        quota_heal(&u->quota);
    if (is_due(&u->partitions_due_ms, now_ms, PARTITIONS_EVERY_MS))
        run_job(u, SQL_ENSURE_PARTITIONS, NULL, take_partitions);
    else if (is_due(&u->carry_due_ms, now_ms, MINUTE))
        run_job(u, SQL_OPEN_CARRIED, CARRY_PAGE, take_carried);
    else if (quota_has_work(&u->quota) && redis_router_is_up(u->redis))
        quota_run(&u->quota, u->pg, u->redis, maintenance_poke, u);
    else if (u->retains && retention_is_due(&u->retention, now_ms) && !u->is_behind(u->owner))
        retention_run(&u->retention, u->pg, maintenance_poke, u);
    else if (u->on_idle)
        u->on_idle(u->owner);
}

static void on_tick(uv_timer_t *timer)
{
    maintenance_poke(timer->data);
}

void maintenance_open(struct maintenance *u, uv_loop_t *loop, const char *database_url,
                      const unsigned char key[16], bool (*has_stream)(void *owner), void *owner)
{
    *u = (struct maintenance){.has_stream = has_stream, .owner = owner};
    quota_init(&u->quota, key);
    u->pg = pg_open(loop, database_url, "meterline_aggregator", "meterline-aggregator maintenance",
                    (struct pg_events){.on_up = on_up, .on_down = on_down, .owner = u});
    uv_timer_init(loop, &u->tick);
    u->tick.data = u;
    uv_timer_start(&u->tick, on_tick, TICK_MS, TICK_MS);
}

void maintenance_stop(struct maintenance *u)
{
    u->working = false;
    u->stopped = true;
}

void maintenance_close(struct maintenance *u, struct closing *closing)
{
    maintenance_stop(u);
    closing_handle(closing, &u->tick);
    pg_close(u->pg, closing_part_closed, closing_part(closing));
}

void maintenance_done(struct maintenance *u)
{
    quota_done(&u->quota);
    retention_done(&u->retention);
}
