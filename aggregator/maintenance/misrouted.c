#include "aggregator/maintenance/misrouted.h"

#include "aggregator/sql.h"
#include "aggregator/stream/stream_name.h"
#include "common/clock.h"
#include "common/contract.h"
#include "common/log.h"
#include "common/pg/pg_array.h"
#include "common/str.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_EVERY_MS = 1000, PG_DEADLINE_MS = 20000, REDIS_DEADLINE_MS = 5000 };
enum { REJECTED_ID, STREAM, STREAM_ID, TENANT, FIELDS };
enum { ARGUMENTS_MAX = 2 * (DIMENSIONS_MAX + 6) + 3 };

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

static void on_all_added(struct misrouted *s)
{
    s->state = MISROUTED_ADDED;
    if (s->failed) {
        PQclear(s->rows);
        s->rows = NULL;
        s->state = MISROUTED_IDLE;
    }
    misrouted_poke(s);
}

static void take_added(void *owner, const struct err *error, void *reply)
{
    struct misrouted *s = owner;
    (void)reply;
    s->failed = s->failed || error;
    if (--s->replies_left == 0)
        on_all_added(s);
}

static void send_row(struct misrouted *s, int row)
{
    const char *tenant = PQgetvalue(s->rows, row, TENANT);
    const char *entry = PQgetvalue(s->rows, row, STREAM_ID);
    char *id = xasprintf("%s/%s", PQgetvalue(s->rows, row, STREAM), entry);
    char *ts = xasprintf("%.*s", (int)strcspn(entry, "-"), entry);
    json_t *fields = json_loads(PQgetvalue(s->rows, row, FIELDS), 0, NULL);
    char stream[STREAM_NAME_SIZE];
    struct command c = {.argc = 0};
    stream_name(str_crc16(tenant, strlen(tenant)) % s->shards, s->shards, stream);
    add_text(&c, "XADD");
    add_text(&c, stream);
    add_text(&c, "*");
    /* What cannot be read as an event's fields was not refused for its stream: our bug. */
    if (!add_fields(&c, fields, id, ts))
        abort();
    s->replies_left++;
    redis_router_command(s->redis, stream, strlen(stream), REDIS_DEADLINE_MS, take_added, s, c.argc,
                         c.argv, c.lengths);
    json_decref(fields);
    free(ts);
    free(id);
}

static void take_rows(void *owner, const struct err *error, PGresult **results, int n)
{
    struct misrouted *s = owner;
    (void)n;
    s->state = MISROUTED_IDLE;
    s->found = !error ? PQntuples(results[0]) : -1;
    if (s->found == 0)
        s->events.none(s->events.owner);
    if (s->found <= 0)
        return;
    s->rows = results[0];
    results[0] = NULL;
    s->state = MISROUTED_ADDING;
    s->failed = false;
    for (int row = 0; row < PQntuples(s->rows); row++)
        send_row(s, row);
}

static void take_noted(void *owner, const struct err *error, PGresult **results, int n)
{
    struct misrouted *s = owner;
    (void)results;
    (void)n;
    s->state = MISROUTED_IDLE;
    if (!error) {
        log_info(misrouted_moved, LOG_I64("entries", PQntuples(s->rows)));
        s->events.moved(s->events.owner);
        misrouted_hurry(s);
    }
    PQclear(s->rows);
    s->rows = NULL;
}

static void run_note(struct misrouted *s)
{
    struct pg_array ids;
    pg_array_init(&ids, PG_INT8);
    for (int row = 0; row < PQntuples(s->rows); row++)
        pg_array_add_i64(&ids, strtoll(PQgetvalue(s->rows, row, REJECTED_ID), NULL, 10));
    struct pg_statement statement;
    pg_statement_init(&statement, SQL_NOTE_MISROUTED);
    pg_add_array(&statement, &ids);
    s->state = MISROUTED_NOTING;
    pg_run(s->pg, &statement, 1, PG_DEADLINE_MS, take_noted, s);
    pg_array_done(&ids);
}

static void run_read(struct misrouted *s)
{
    struct pg_statement statement;
    pg_statement_init(&statement, SQL_READ_MISROUTED);
    s->state = MISROUTED_READING;
    pg_run(s->pg, &statement, 1, PG_DEADLINE_MS, take_rows, s);
}

void misrouted_poke(struct misrouted *s)
{
    int64_t now_ms = clock_monotonic_ms();
    if (!pg_is_ready(s->pg) || !redis_router_is_up(s->redis))
        return;
    if (s->state == MISROUTED_ADDED) {
        run_note(s);
    } else if (s->state == MISROUTED_IDLE && now_ms >= s->due_ms) {
        s->due_ms = now_ms + LOOK_EVERY_MS;
        run_read(s);
    }
}

void misrouted_hurry(struct misrouted *s)
{
    s->due_ms = 0;
}

void misrouted_init(struct misrouted *s, struct pg *pg, struct redis_router *redis,
                    struct misrouted_events events)
{
    *s = (struct misrouted){.pg = pg, .redis = redis, .events = events};
}

void misrouted_done(struct misrouted *s)
{
    PQclear(s->rows);
}
