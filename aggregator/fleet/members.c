#include "aggregator/fleet/members.h"

#include "aggregator/sql.h"
#include "common/clock.h"
#include "common/metric_table.h"
#include "common/pg/schema.h"

#include <stdlib.h>

/* A heartbeat keeps leases of 3 s: five may be lost. */
enum { TICK_MS = 100, BEAT_EVERY_MS = 500, SCHEMA_RETRY_MS = 1000, DEADLINE_MS = 20000 };

static void on_schema(void *owner, const struct err *error)
{
    struct members *m = owner;
    m->schema_ok = !error;
    if (!error) {
        members_poke(m);
        return;
    }
    if (error->kind == ERR_SCHEMA && !error->retry) {
        log_error(schema_refused, LOG_ERR(error));
        m->events.refused(m->events.owner);
        return;
    }
    uint64_t suppressed;
    if (error->kind == ERR_SCHEMA &&
        log_repeat_failed(&m->waiting, clock_monotonic_ms(), &suppressed))
        log_warn(schema_waited, LOG_U64("held_back", suppressed), LOG_ERR(error));
    m->due_ms = clock_monotonic_ms() + SCHEMA_RETRY_MS;
}

static void on_up(void *owner)
{
    struct members *m = owner;
    m->schema_ok = false;
    m->due_ms = 0;
    members_poke(m);
}

static void on_down(void *owner, const struct err *error)
{
    struct members *m = owner;
    (void)error;
    m->schema_ok = false;
}

static void take_left(void *owner, const struct err *error, PGresult **results, int n)
{
    struct members *m = owner;
    (void)error; /* the others see that the heartbeat has stopped */
    (void)results;
    (void)n;
    m->has_left = true;
    m->events.left(m->events.owner);
}

static void read_beat(struct members *m, const PGresult *spread, const PGresult *streams)
{
    struct beat beat = {.shards = strtoll(PQgetvalue(spread, 0, 0), NULL, 10),
                        .running = strtoll(PQgetvalue(spread, 0, 1), NULL, 10),
                        .older = strtoll(PQgetvalue(spread, 0, 2), NULL, 10),
                        .streams_count = PQntuples(streams)};
    struct known_stream *known = xcalloc((size_t)beat.streams_count + 1, sizeof *known);
    int unowned = 0;
    for (int i = 0; i < beat.streams_count; i++) {
        known[i] = (struct known_stream){.name = PQgetvalue(streams, i, 0),
                                         .mine = *PQgetvalue(streams, i, 1) == 't',
                                         .free = *PQgetvalue(streams, i, 2) == 't',
                                         .retired = *PQgetvalue(streams, i, 3) == 't',
                                         .pending_sums = *PQgetvalue(streams, i, 4) == 't'};
        unowned += known[i].free && !known[i].retired;
    }
    metric_set(metric_of(METRIC_OF_UNOWNED, ""), unowned);
    beat.streams = known;
    m->events.beat(m->events.owner, &beat, m->may_work);
    free(known);
}

static void read_renewed(struct members *m, const PGresult *renewed)
{
    for (int i = 0; i < PQntuples(renewed); i++)
        m->events.renewed(m->events.owner, PQgetvalue(renewed, i, 0),
                          strtoll(PQgetvalue(renewed, i, 1), NULL, 10));
}

static void take_beat(void *owner, const struct err *error, PGresult **results, int n)
{
    struct members *m = owner;
    m->beating = false;
    if (m->leaving)
        members_leave(m);
    else if (!error) {
        read_renewed(m, results[n - 4]);
        read_beat(m, results[n - 2], results[n - 1]);
    } else if (error->kind != ERR_CLOSED && error->kind != ERR_CANCELED)
        log_warn(maintenance_failed, LOG_STR("job", "lease"), LOG_ERR(error));
}

static void run_beat(struct members *m)
{
    struct pg_array streams, windows_s, current;
    int n = 0;
    pg_array_init(&streams, PG_TEXT);
    pg_array_init(&windows_s, PG_INT8);
    pg_array_init(&current, PG_TEXT);
    m->may_work = m->events.ask(m->events.owner, &streams, &windows_s, &current);
    struct pg_statement s[5];
    if (m->may_work) {
        pg_statement_init(&s[n], SQL_NOTE_MEMBER);
        pg_add_text(&s[n++], m->name);
    }
    pg_statement_init(&s[n], SQL_RENEW_LEASES);
    pg_add_text(&s[n], m->name);
    pg_add_array(&s[n], &streams);
    pg_add_array(&s[n++], &windows_s);
    pg_statement_init(&s[n], SQL_FORGET_MEMBERS);
    pg_add_text(&s[n++], "");
    pg_statement_init(&s[n], SQL_READ_SPREAD);
    pg_add_text(&s[n++], m->name);
    pg_statement_init(&s[n], SQL_READ_STREAMS);
    pg_add_text(&s[n], m->name);
    pg_add_array(&s[n++], &current);
    m->beating = true;
    pg_run(m->pg, s, n, DEADLINE_MS, take_beat, m);
    pg_array_done(&streams);
    pg_array_done(&windows_s);
    pg_array_done(&current);
}

void members_poke(struct members *m)
{
    if (!pg_is_ready(m->pg) || m->leaving)
        return;
    m->due_ms = clock_monotonic_ms() + BEAT_EVERY_MS;
    if (m->schema_ok)
        run_beat(m);
    else
        schema_check(m->pg, on_schema, m);
}

static void on_tick(uv_timer_t *timer)
{
    struct members *m = timer->data;
    if (clock_monotonic_ms() >= m->due_ms)
        members_poke(m);
}

void members_open(struct members *m, uv_loop_t *loop, const char *database_url, const char *name,
                  struct members_events events)
{
    *m = (struct members){.name = name, .events = events};
    m->pg = pg_open(loop, database_url, "meterline_aggregator", "meterline-aggregator lease",
                    (struct pg_events){.on_up = on_up, .on_down = on_down, .owner = m});
    uv_timer_init(loop, &m->tick);
    m->tick.data = m;
    uv_timer_start(&m->tick, on_tick, TICK_MS, TICK_MS);
}

void members_leave(struct members *m)
{
    m->leaving = true;
    if (m->beating || m->has_left)
        return; /* take_beat comes back here */
    if (m->schema_ok && pg_is_ready(m->pg)) {
        struct pg_statement s;
        pg_statement_init(&s, SQL_FORGET_MEMBERS);
        pg_add_text(&s, m->name);
        pg_run(m->pg, &s, 1, DEADLINE_MS, take_left, m);
        return;
    }
    m->has_left = true;
    m->events.left(m->events.owner);
}

void members_close(struct members *m, struct closing *closing)
{
    m->leaving = m->has_left = true;
    closing_handle(closing, &m->tick);
    pg_close(m->pg, closing_part_closed, closing_part(closing));
}
