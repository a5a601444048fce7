/* Running one pipeline: statements and one Sync go out, results come back in order.
 *
 * A pooler may give each transaction another session of the server, so nothing is kept in the
 * session: each transaction begins with its role and settings, which are sent along unasked. Their
 * results are left out of what the caller gets.
 *
 * The happy path: each statement gives a result and then a NULL, and the Sync ends the pipeline.
 * libpq holds what the socket does not take; it is flushed when the socket is writable, while
 * answers are read, so that neither side waits for the other with full buffers.
 *
 * The failure modes: a statement is refused (the rest is skipped by the server, and the first error
 * is kept), a transaction is left open by that (ROLLBACK is sent as a pipeline of its own before
 * done is called), the socket dies (pg_lost). */
#include "common/pg_internal.h"

#include "common/sql.h"
#include "common/str.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int send_failed(struct pg *pg, struct err *e)
{
    if (PQstatus(pg->conn) == CONNECTION_BAD) {
        pg_loss_err(pg, e);
        return -1;
    }
    char line[sizeof e->text];
    pg_first_line(PQerrorMessage(pg->conn), line, sizeof line);
    return err_set(e, ERR_INPUT, "send to PostgreSQL: %s", line);
}

static int send_statement(struct pg *pg, const struct pg_statement *s)
{
    return PQsendQueryParams(pg->conn, s->sql, s->params, s->types, s->values, s->lengths,
                             s->formats, s->binary_result);
}

/* Writes what the socket takes, and asks to be called again for the rest. Failing to write is not
 * an error here: libpq keeps it back until what the server sent is read. */
static void flush(struct pg *pg)
{
    bool more = PQflush(pg->conn) == 1;
    pg_watch(pg, UV_READABLE | (more ? UV_WRITABLE : 0));
}

static bool is_word(const struct pg_statement *s, const char *word)
{
    size_t length = strlen(word);
    return strncasecmp(s->sql, word, length) == 0 &&
           (s->sql[length] == '\0' || s->sql[length] == ' ');
}

/* Before this statement the settings are due: it is the first one of a transaction, which begins by
 * BEGIN, by itself, or behind the end of another one. */
static bool starts_transaction(const struct pg *pg, const struct pg_statement *statements, int i)
{
    if (is_word(&statements[i], "begin"))
        return false;
    if (i == 0)
        return !pg->in_transaction;
    const struct pg_statement *before = &statements[i - 1];
    return is_word(before, "begin") || is_word(before, "commit") || is_word(before, "rollback");
}

static bool send_settings(struct pg *pg)
{
    struct pg_statement s;
    pg_statement_init(&s, SQL_SET_TRANSACTION);
    pg_add_text(&s, pg->role);
    pg_add_text(&s, "0");
    pg->pipeline.is_ours[pg->pipeline.sent++] = true;
    return send_statement(pg, &s);
}

static bool send_statements(struct pg *pg, const struct pg_statement *statements, int n)
{
    for (int i = 0; i < n; i++) {
        if (starts_transaction(pg, statements, i) && !send_settings(pg))
            return false;
        pg->pipeline.sent++;
        if (!send_statement(pg, &statements[i]))
            return false;
    }
    return true;
}

/* It concerns only the statement whose result is the next to be taken. */
static bool start_rows(struct pg *pg)
{
    const struct pg_pipeline *p = &pg->pipeline;
    bool is_due = p->on_row && p->at < p->sent && !p->is_ours[p->at];
    return !is_due || PQsetSingleRowMode(pg->conn);
}

int pg_pipeline_send(struct pg *pg, const struct pg_statement *statements, int n, struct err *e)
{
    struct pg_pipeline *p = &pg->pipeline;
    p->active = true;
    p->n = n;
    p->results = xcalloc((size_t)n, sizeof(PGresult *));
    p->is_ours = xcalloc(2 * (size_t)n, sizeof(bool));
    if (!send_statements(pg, statements, n) || !start_rows(pg) || !PQpipelineSync(pg->conn))
        return send_failed(pg, e);
    flush(pg);
    return 0;
}

static void clear_pipeline(struct pg_pipeline *p)
{
    for (int i = 0; p->results && i < p->n; i++)
        PQclear(p->results[i]);
    free(p->results);
    free(p->is_ours);
}

void pg_pipeline_fail(struct pg *pg, const struct err *error)
{
    struct pg_pipeline *p = &pg->pipeline;
    if (!p->active)
        return;
    p->active = false;
    if (p->error.kind == ERR_NONE)
        p->error = *error;
    if (pg->state == PG_IS_BUSY)
        return;
    clear_pipeline(p); /* the setup's, whose done is not called */
    *p = (struct pg_pipeline){0};
}

/* done may start the next pipeline at once, so that this one is moved aside first. */
void pg_pipeline_finish(struct pg *pg)
{
    struct pg_pipeline p = pg->pipeline;
    pg->pipeline = (struct pg_pipeline){0};
    if (p.error.kind != ERR_NONE)
        p.done(p.owner, &p.error, NULL, 0);
    else if (p.on_row)
        p.done(p.owner, NULL, NULL, 0);
    else
        p.done(p.owner, NULL, p.results, p.n);
    clear_pipeline(&p);
}

static bool left_a_transaction(const struct pg *pg)
{
    PGTransactionStatusType status = PQtransactionStatus(pg->conn);
    return status == PQTRANS_INERROR || status == PQTRANS_INTRANS;
}

static void run_rollback(struct pg *pg)
{
    pg->pipeline.rolling_back = true;
    struct pg_statement s;
    pg_statement_init(&s, "rollback");
    struct err e;
    if (send_statement(pg, &s) && PQpipelineSync(pg->conn)) {
        flush(pg);
        return;
    }
    send_failed(pg, &e);
    pg_lost(pg, &e);
}

static void take_sync(struct pg *pg)
{
    struct pg_pipeline *p = &pg->pipeline;
    if (p->error.kind != ERR_NONE && !p->rolling_back && left_a_transaction(pg)) {
        run_rollback(pg);
        return;
    }
    p->active = false;
    pg->in_transaction = left_a_transaction(pg);
    uv_timer_stop(&pg->timer);
    pg_go(pg, PG_IS_READY);
    pg_pipeline_finish(pg);
}

static void take_error(struct pg *pg, PGresult *r)
{
    struct err e;
    pg_result_err(&e, pg->conn, r);
    pg_note_fatal(pg, r, &e);
    if (pg->pipeline.error.kind == ERR_NONE)
        pg->pipeline.error = e;
    PQclear(r);
}

static void take_row(struct pg *pg, PGresult *r)
{
    struct pg_pipeline *p = &pg->pipeline;
    p->on_row(p->owner, r);
    PQclear(r);
}

static void keep_result(struct pg *pg, PGresult *r)
{
    struct pg_pipeline *p = &pg->pipeline;
    if (p->rolling_back || p->on_row || p->at >= p->sent || p->is_ours[p->at]) {
        PQclear(r);
        return;
    }
    assert(p->kept < p->n);
    p->results[p->kept++] = r;
}

static void refuse_copy(struct pg *pg, PGresult *r)
{
    struct err e;
    err_set(&e, ERR_INPUT, "COPY cannot run in a pipeline");
    PQclear(r);
    pg_lost(pg, &e);
}

static void take_result(struct pg *pg, PGresult *r)
{
    switch (PQresultStatus(r)) {
    case PGRES_SINGLE_TUPLE:
        take_row(pg, r);
        break;
    case PGRES_EMPTY_QUERY:
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
        keep_result(pg, r);
        break;
    case PGRES_BAD_RESPONSE:
    case PGRES_FATAL_ERROR:
        take_error(pg, r);
        break;
    case PGRES_PIPELINE_ABORTED:
    case PGRES_NONFATAL_ERROR:
        PQclear(r);
        break;
    case PGRES_PIPELINE_SYNC:
        PQclear(r);
        take_sync(pg);
        break;
    case PGRES_COPY_OUT:
    case PGRES_COPY_IN:
    case PGRES_COPY_BOTH:
        refuse_copy(pg, r);
        break;
    }
}

/* Each result may end the pipeline, begin the next one, or drop the connection: what belongs to
 * this pipeline is asked again every time. One NULL ends a statement. A second one means that libpq
 * has nothing more, as after a FATAL error: the socket will tell that the connection is gone. */
static void take_results(struct pg *pg)
{
    bool ended = false;
    while (pg->conn && pg->pipeline.active && !PQisBusy(pg->conn)) {
        PGresult *r = PQgetResult(pg->conn);
        if (r) {
            take_result(pg, r);
        } else if (ended) {
            return;
        } else {
            pg->pipeline.at++;
            (void)start_rows(pg); /* refused only where no statement is left that could give rows */
        }
        ended = !r;
    }
}

void pg_pipeline_io(struct pg *pg, int events)
{
    bool alive = !(events & UV_READABLE) || PQconsumeInput(pg->conn);
    take_results(pg);
    if (!pg->conn)
        return;
    if (!alive) {
        struct err e;
        pg_loss_err(pg, &e);
        pg_lost(pg, &e);
        return;
    }
    /* With nothing in flight, this has libpq look at what the server said of its own accord. */
    if (!pg->pipeline.active)
        (void)PQisBusy(pg->conn);
    flush(pg);
}

static void start_pipeline(struct pg *pg, const struct pg_statement *statements, int n,
                           uint64_t deadline_ms)
{
    pg_go(pg, PG_IS_BUSY);
    pg_start_timer(pg, deadline_ms);
    struct err e;
    if (pg_pipeline_send(pg, statements, n, &e) != 0)
        pg_lost(pg, &e);
}

void pg_run(struct pg *pg, const struct pg_statement *statements, int n, uint64_t deadline_ms,
            pg_done_fn done, void *owner)
{
    assert(pg_is_ready(pg) && n > 0 && done);
    pg->pipeline = (struct pg_pipeline){.done = done, .owner = owner};
    start_pipeline(pg, statements, n, deadline_ms);
}

void pg_stream(struct pg *pg, const struct pg_statement *statement, uint64_t deadline_ms,
               pg_row_fn on_row, pg_done_fn done, void *owner)
{
    assert(pg_is_ready(pg) && on_row && done);
    pg->pipeline = (struct pg_pipeline){.on_row = on_row, .done = done, .owner = owner};
    start_pipeline(pg, statement, 1, deadline_ms);
}
