/* What was computed from stored data is computed again and compared. The digest of each batch
 * comes from its raw events. The identifier and the body of each submission come from its row,
 * so that it shows if a quantity, a minute, a customer or a body was altered alone. */
#include "common/batch_digest.h"
#include "common/pg/pg.h"
#include "common/stripe/identifier.h"
#include "common/stripe/usage_body.h"
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
    BATCH_COLUMNS = ENTRY_MS + 10
};

struct batch_walk {
    json_t *findings;
    bool begun; /* a batch: */
    char *stream;
    int64_t number;
    int64_t batch;
    int64_t counted;
    int64_t events; /* in its slices so far */
    unsigned char contents[BATCH_DIGEST_SIZE];
    struct batch_digest digest;
};

static void end_batch(struct batch_walk *w)
{
    unsigned char found[BATCH_DIGEST_SIZE];
    if (!w->begun)
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
    w->begun = false;
}

static void begin_batch(struct batch_walk *w, const PGresult *row)
{
    w->begun = true;
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

static void add_slice(struct batch_walk *w, const PGresult *row)
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
    for (int i = ENTRY_MS; i < BATCH_COLUMNS; i++)
        batch_digest_add_field(&w->digest, PQgetisnull(row, 0, i) ? NULL : PQgetvalue(row, 0, i),
                               (size_t)PQgetlength(row, 0, i));
}

static void check_slice(void *owner, const PGresult *row)
{
    struct batch_walk *w = owner;
    if (w->begun && (pg_get_i64(row, 0, NUMBER) != w->number ||
                     strcmp(PQgetvalue(row, 0, STREAM), w->stream) != 0))
        end_batch(w);
    if (!w->begun)
        begin_batch(w, row);
    if (!PQgetisnull(row, 0, SLICE))
        add_slice(w, row);
}

int audit_batches(PGconn *conn, json_t *findings, struct err *e)
{
    struct batch_walk w = {.findings = findings};
    int failed = db_each(conn, SQL_AUDIT_BATCHES, 0, NULL, DB_BINARY, check_slice, &w, e);
    end_batch(&w);
    return failed;
}

/* Columns of audit_submissions.sql. */
enum {
    IDENTIFIER,
    TENANT,
    METRIC,
    TRANSPORT,
    CUSTOMER,
    EVENT_NAME,
    ITEM,
    PERIOD_START,
    CLAIM,
    USAGE_AT,
    QUANTITY,
    BODY,
    FOUND
};

struct submission_walk {
    json_t *findings;
    int64_t eras; /* restores that were accepted: an identifier is of one of them, or of none */
    struct buf body;
};

static bool is_made_of_row(const struct submission_walk *w, const PGresult *row)
{
    char made[IDENTIFIER_SIZE];
    struct identifier_parts parts = {
        .customer = db_text(row, 0, CUSTOMER),
        .event_name = db_text(row, 0, EVENT_NAME),
        .tenant = db_text(row, 0, TENANT),
        .metric = db_text(row, 0, METRIC),
        .period_start_s = db_i64(row, 0, PERIOD_START),
        .claim = db_i64(row, 0, CLAIM),
    };
    for (parts.era = w->eras; parts.era >= 0; parts.era--) {
        identifier_make(&parts, made);
        if (strcmp(made, db_text(row, 0, IDENTIFIER)) == 0)
            return true;
    }
    return false;
}

static bool is_body_of_row(struct submission_walk *w, const PGresult *row)
{
    const char *quantity = db_text(row, 0, QUANTITY);
    struct usage usage = {
        .event_name = db_text(row, 0, EVENT_NAME),
        .customer = db_text(row, 0, CUSTOMER),
        .subscription_item = db_text(row, 0, ITEM),
        .identifier = db_text(row, 0, IDENTIFIER),
        .usage_at_s = db_i64(row, 0, USAGE_AT),
    };
    buf_clear(&w->body);
    return dec_parse(quantity, strlen(quantity), &usage.quantity) == 0 &&
           usage_body_make(db_text(row, 0, TRANSPORT), &w->body, &usage) &&
           strcmp(w->body.data, db_text(row, 0, BODY)) == 0;
}

static const char *fault_of(struct submission_walk *w, const PGresult *row)
{
    const char *found = db_text(row, 0, FOUND);
    if (found && strcmp(found, db_text(row, 0, IDENTIFIER)) != 0)
        return "its identifier is not the one that its row makes";
    if (found)
        return *db_text(row, 0, BODY) ? "its body is not the one that its row makes" : NULL;
    if (!is_made_of_row(w, row))
        return "its identifier is not the one that its row makes";
    return is_body_of_row(w, row) ? NULL : "its body is not the one that its row makes";
}

static void check_submission(void *owner, const PGresult *row)
{
    struct submission_walk *w = owner;
    if (json_array_size(w->findings) == FINDINGS_MAX)
        return;
    const char *what = fault_of(w, row);
    if (what)
        json_array_append_new(w->findings, json_pack("{s:s, s:s, s:s, s:s}", "identifier",
                                                     db_text(row, 0, IDENTIFIER), "tenant",
                                                     db_text(row, 0, TENANT), "metric",
                                                     db_text(row, 0, METRIC), "what", what));
}

int audit_submissions(PGconn *conn, json_t *findings, struct err *e)
{
    struct submission_walk w = {.findings = findings};
    if (db_number(conn, SQL_READ_CLAIM_ERA, 0, NULL, &w.eras, e))
        return -1;
    int failed = db_each(conn, SQL_AUDIT_SUBMISSIONS, 0, NULL, DB_TEXT, check_submission, &w, e);
    buf_done(&w.body);
    return failed;
}
