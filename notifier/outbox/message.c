#include "notifier/outbox/message.h"

#include "common/clock.h"
#include "common/pg/pg.h"
#include "common/str.h"

#include <stdlib.h>
#include <string.h>

/* Columns of claim_messages.sql and claim_addressed.sql. */
enum { ID, TENANT, KIND, DESTINATION, DATA, OCCURRED, ATTEMPTS, WAITED, CREATED, FAILURES, SECRET };

struct message *message_read(const PGresult *r, int row)
{
    struct message *m = xcalloc(1, sizeof *m);
    m->id = xstrdup(PQgetvalue(r, row, ID));
    m->tenant = xstrdup(PQgetvalue(r, row, TENANT));
    m->kind = xstrdup(PQgetvalue(r, row, KIND));
    m->destination = xstrdup(PQgetvalue(r, row, DESTINATION));
    m->data = xstrdup(PQgetvalue(r, row, DATA));
    m->secret = PQgetisnull(r, row, SECRET) ? NULL : xstrdup(PQgetvalue(r, row, SECRET));
    m->occurred_ms = pg_get_time_ms(r, row, OCCURRED);
    m->attempts = pg_get_i64(r, row, ATTEMPTS);
    m->waited_ms = pg_get_i64(r, row, WAITED);
    m->created_ms = pg_get_time_ms(r, row, CREATED);
    m->failures = pg_get_i64(r, row, FAILURES);
    return m;
}

void message_free(struct message *m)
{
    free(m->id);
    free(m->tenant);
    free(m->kind);
    free(m->destination);
    free(m->data);
    free(m->secret);
    free(m);
}

static void add_member(struct buf *b, const char *name, const char *value)
{
    buf_printf(b, "\"%s\":", name);
    buf_add_json_str(b, value, strlen(value));
    buf_add_char(b, ',');
}

char *message_json(const struct message *m)
{
    struct buf b = {0};
    buf_add_char(&b, '{');
    add_member(&b, "id", m->id);
    add_member(&b, "kind", m->kind);
    add_member(&b, "tenant", m->tenant);
    buf_printf(&b, "\"occurred_at\":%lld,\"data\":%s}", (long long)m->occurred_ms, m->data);
    return buf_take(&b);
}
