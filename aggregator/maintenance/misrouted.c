#include "aggregator/maintenance/misrouted.h"

#include "aggregator/sql.h"
#include "aggregator/stream/stream_name.h"
#include "common/clock.h"
#include "common/contract.h"
#include "common/machine.h"
#include "common/pg/pg_array.h"
#include "common/str.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_EVERY_MS = 1000, PG_DEADLINE_MS = 20000, REDIS_DEADLINE_MS = 5000 };
enum { REJECTED_ID, STREAM, STREAM_ID, TENANT, FIELDS };
enum { ARGUMENTS_MAX = 2 * (DIMENSIONS_MAX + 6) + 3 };

static const struct machine MISROUTED = {
    "misrouted",
    {[MISROUTED_IDLE] = {"idle", TO(MISROUTED_READING)},
     [MISROUTED_READING] = {"reading", TO(MISROUTED_IDLE) | TO(MISROUTED_ADDING)},
     [MISROUTED_ADDING] = {"adding", TO(MISROUTED_IDLE) | TO(MISROUTED_ADDED)},
     [MISROUTED_ADDED] = {"added", TO(MISROUTED_NOTING)},
     [MISROUTED_NOTING] = {"noting", TO(MISROUTED_IDLE)}}};

struct command {
    const char *argv[ARGUMENTS_MAX];
    size_t lengths[ARGUMENTS_MAX];
    int argc;
};

static void add(struct command *c, const char *data, size_t length)
{
    assert(c->argc < ARGUMENTS_MAX);
    c->argv[c->argc] = data;
    c->lengths[c->argc++] = length;
}

static void add_text(struct command *c, const char *text)
{
    add(c, text, strlen(text));
}

static bool add_field(struct command *c, const json_t *pair)
{
    const char *name = json_string_value(json_array_get(pair, 0));
    const json_t *value = json_array_get(pair, 1);
    if (!name || !json_is_string(value) || c->argc > ARGUMENTS_MAX - 6)
        return false;
    add_text(c, name);
    add(c, json_string_value(value), json_string_length(value));
    return true;
}

static bool has_field(const json_t *fields, const char *name)
{
    const json_t *pair;
    size_t i;
    json_array_foreach(fields, i, pair)
    {
        if (strcmp(json_string_value(json_array_get(pair, 0)), name) == 0)
            return true;
    }
    return false;
}

/* All its fields as they were; then what another entry would not have by default. */
static bool add_fields(struct command *c, const json_t *fields, const char *id, const char *ts)
{
    const json_t *pair;
    size_t i;
    json_array_foreach(fields, i, pair)
    {
        if (!add_field(c, pair))
            return false;
    }
    if (!has_field(fields, FIELD_ID)) {
        add_text(c, FIELD_ID);
        add_text(c, id);
    }
    if (!has_field(fields, FIELD_TS) && !has_field(fields, FIELD_OP)) {
        add_text(c, FIELD_TS);
        add_text(c, ts);
    }
    return true;
}

static void take_added(void *owner, const struct err *error, void *reply)
{
    struct misrouted *m = owner;
    (void)reply;
    m->failed = m->failed || error;
    if (--m->replies_left > 0)
        return;
    if (m->failed) {
        PQclear(m->rows);
        m->rows = NULL;
    }
    machine_go(&MISROUTED, m->state, m->failed ? MISROUTED_IDLE : MISROUTED_ADDED);
    misrouted_poke(m);
}

static void send_row(struct misrouted *m, int row)
{
    const char *tenant = PQgetvalue(m->rows, row, TENANT);
    const char *entry = PQgetvalue(m->rows, row, STREAM_ID);
    char *id = xasprintf("%s/%s", PQgetvalue(m->rows, row, STREAM), entry);
    char *ts = xasprintf("%.*s", (int)strcspn(entry, "-"), entry);
    json_t *fields = json_loads(PQgetvalue(m->rows, row, FIELDS), 0, NULL);
    char stream[STREAM_NAME_SIZE];
    struct command c = {.argc = 0};
    stream_name(str_crc16(tenant, strlen(tenant)) % m->shards, m->shards, stream);
    add_text(&c, "XADD");
    add_text(&c, stream);
    add_text(&c, "*");
    /* What cannot be read as an event's fields was not refused for its stream: our bug. */
    if (!add_fields(&c, fields, id, ts))
        abort();
    m->replies_left++;
    redis_router_command(m->redis, stream, strlen(stream), REDIS_DEADLINE_MS, take_added, m, c.argc,
                         c.argv, c.lengths);
    json_decref(fields);
    free(ts);
    free(id);
}

static void take_rows(void *owner, const struct err *error, PGresult **results, int n)
{
    struct misrouted *m = owner;
    (void)n;
    m->found = !error ? PQntuples(results[0]) : -1;
    if (m->found <= 0) {
        machine_go(&MISROUTED, m->state, MISROUTED_IDLE);
        if (m->found == 0)
            m->events.none(m->events.owner);
        return;
    }
    m->rows = results[0];
    results[0] = NULL;
    machine_go(&MISROUTED, m->state, MISROUTED_ADDING);
    m->failed = false;
    for (int row = 0; row < PQntuples(m->rows); row++)
        send_row(m, row);
}

static void take_noted(void *owner, const struct err *error, PGresult **results, int n)
{
    struct misrouted *m = owner;
    (void)results;
    (void)n;
    machine_go(&MISROUTED, m->state, MISROUTED_IDLE);
    if (!error) {
        log_info(misrouted_moved, LOG_I64("entries", PQntuples(m->rows)));
        m->events.moved(m->events.owner);
        misrouted_hurry(m);
    }
    PQclear(m->rows);
    m->rows = NULL;
}

static void run_note(struct misrouted *m)
{
    struct pg_array ids;
    pg_array_init(&ids, PG_INT8);
    for (int row = 0; row < PQntuples(m->rows); row++)
        pg_array_add_i64(&ids, strtoll(PQgetvalue(m->rows, row, REJECTED_ID), NULL, 10));
    struct pg_statement statement;
    pg_statement_init(&statement, SQL_NOTE_MISROUTED);
    pg_add_array(&statement, &ids);
    machine_go(&MISROUTED, m->state, MISROUTED_NOTING);
    pg_run(m->pg, &statement, 1, PG_DEADLINE_MS, take_noted, m);
    pg_array_done(&ids);
}

static void run_read(struct misrouted *m)
{
    struct pg_statement statement;
    pg_statement_init(&statement, SQL_READ_MISROUTED);
    machine_go(&MISROUTED, m->state, MISROUTED_READING);
    pg_run(m->pg, &statement, 1, PG_DEADLINE_MS, take_rows, m);
}

void misrouted_poke(struct misrouted *m)
{
    int64_t now_ms = clock_monotonic_ms();
    if (!pg_is_ready(m->pg) || !redis_router_is_up(m->redis))
        return;
    if (m->state == MISROUTED_ADDED) {
        run_note(m);
    } else if (m->state == MISROUTED_IDLE && now_ms >= m->due_ms) {
        m->due_ms = now_ms + LOOK_EVERY_MS;
        run_read(m);
    }
}

void misrouted_hurry(struct misrouted *m)
{
    m->due_ms = 0;
}

void misrouted_init(struct misrouted *m, struct pg *pg, struct redis_router *redis,
                    struct misrouted_events events)
{
    *m = (struct misrouted){.pg = pg, .redis = redis, .events = events};
}

void misrouted_done(struct misrouted *m)
{
    PQclear(m->rows);
}
