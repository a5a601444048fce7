/* Raw events against the chain: the digest of each batch is made once more of what is stored. */
#include "common/batch_digest.h"
#include "common/pg/pg.h"
#include "ctl/audit/audit.h"
#include "ctl/db.h"
#include "ctl/sql.h"

#include <stdbool.h>
#include <string.h>

enum { FINDINGS_MAX = 10 };

/* Columns of audit_batches.sql; from ENTRY_MS on, arrays. */
enum {
    STREAM,
    NUMBER,
    BATCH,
    COUNTED,
    CONTENTS,
    SLICE,
    EVENTS,
    CATALOG_VERSION,
    OCCURRED_MIN,
    OCCURRED_MAX,
    ENTRY_FIRST_MS,
    ENTRY_LAST_MS,
    ENTRY_MS,
    COLUMNS = ENTRY_MS + 10
};

struct walk {
    json_t *findings;
    bool open; /* a batch was begun: */
    char *stream;
    int64_t number;
    int64_t batch;
    int64_t counted;
    int64_t events; /* in its slices so far */
    unsigned char contents[BATCH_DIGEST_SIZE];
    struct batch_digest digest;
};

static void end_batch(struct walk *w)
{
    unsigned char found[BATCH_DIGEST_SIZE];

    if (!w->open)
        return;
    batch_digest_final(&w->digest, found);
    bool same = w->events == w->counted && memcmp(found, w->contents, sizeof found) == 0;
    if (!same && json_array_size(w->findings) < FINDINGS_MAX)
        json_array_append_new(w->findings,
                              json_pack("{s:s, s:I, s:I, s:I, s:s}", "stream", w->stream, "batch",
                                        w->batch, "events", w->events, "counted", w->counted,
                                        "what", "its raw events are not those that were counted"));
    free(w->stream);
    w->stream = NULL;
    w->open = false;
}

static void begin_batch(struct walk *w, const PGresult *row)
{
    w->open = true;
    w->stream = xstrdup(PQgetvalue(row, 0, STREAM));
    w->number = pg_get_i64(row, 0, NUMBER);
    w->batch = pg_get_i64(row, 0, BATCH);
    w->counted = pg_get_i64(row, 0, COUNTED);
    w->events = 0;
    memset(w->contents, 0, sizeof w->contents);
    if (PQgetlength(row, 0, CONTENTS) == BATCH_DIGEST_SIZE)
        memcpy(w->contents, PQgetvalue(row, 0, CONTENTS), BATCH_DIGEST_SIZE);
    batch_digest_init(&w->digest);
}

static void add_slice(struct walk *w, const PGresult *row)
{
    const struct batch_digest_slice slice = {
        .slice = (uint32_t)pg_get_i64(row, 0, SLICE),
        .events = (uint32_t)pg_get_i64(row, 0, EVENTS),
        .catalog_version = (uint64_t)pg_get_i64(row, 0, CATALOG_VERSION),
        .occurred_min_us = pg_get_i64(row, 0, OCCURRED_MIN),
        .occurred_max_us = pg_get_i64(row, 0, OCCURRED_MAX),
        .entry_first_ms = pg_get_i64(row, 0, ENTRY_FIRST_MS),
        .entry_last_ms = pg_get_i64(row, 0, ENTRY_LAST_MS),
    };

    w->events += slice.events;
    batch_digest_add_slice(&w->digest, &slice);
    for (int i = ENTRY_MS; i < COLUMNS; i++)
        batch_digest_add_field(&w->digest, PQgetisnull(row, 0, i) ? NULL : PQgetvalue(row, 0, i),
                               (size_t)PQgetlength(row, 0, i));
}

static void take_row(void *owner, const PGresult *row)
{
    struct walk *w = owner;

    if (w->open && (pg_get_i64(row, 0, NUMBER) != w->number ||
                    strcmp(PQgetvalue(row, 0, STREAM), w->stream) != 0))
        end_batch(w);
    if (!w->open)
        begin_batch(w, row);
    if (!PQgetisnull(row, 0, SLICE))
        add_slice(w, row);
}

int audit_batches(PGconn *conn, json_t *findings, struct err *e)
{
    struct walk w = {.findings = findings};
    int failed = db_each(conn, SQL_AUDIT_BATCHES, DB_BINARY, take_row, &w, e);

    end_batch(&w);
    return failed;
}
