/* Running one pipeline: statements and one Sync go out, results come back in order.
 *
 * A pooler may give each transaction another session of the server, so nothing is kept in the
 * session: the adapter adds the role and the settings to the beginning of each transaction. A
 * pipeline without BEGIN is wrapped into BEGIN and COMMIT, since its isolation could not be set in
 * time otherwise. The caller does not get the results of what the adapter adds.
 *
 * The happy path: each statement gives a result and then a NULL, and the Sync ends the pipeline.
 * libpq holds what the socket does not take; it is flushed when the socket is writable, while
 * answers are read, so that neither side waits for the other with full buffers.
 *
 * The failure modes: a statement is refused (the server skips the rest, and the first error is
 * kept); that leaves a transaction open (ROLLBACK is sent as a pipeline of its own before done is
 * called); the socket dies (pg_lost). */
#include "common/pg/pg_internal.h"

#include "common/sql.h"
#include "common/str.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { TOGETHER_BYTES = 8192 };

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

static bool is_word(const char *sql, const char *word)
{
    size_t length = strlen(word);
    return strncasecmp(sql, word, length) == 0 && (sql[length] == '\0' || sql[length] == ' ');
}

/* The next statement is outside of any transaction: it is the first of a pipeline, or the last one
 * ended a transaction. */
static bool is_outside(const struct pg *pg)
{
    const char *before = pg->pipeline.before;
    if (before == NULL)
        return !pg->in_transaction;
    return is_word(before, "commit") || is_word(before, "rollback");
}

static bool is_begun(const struct pg *pg)
{
    return pg->pipeline.before && is_word(pg->pipeline.before, "begin");
}

static bool send_added(struct pg *pg, const struct pg_statement *s)
{
    pg->pipeline.is_added[pg->pipeline.sent++] = true;
    return send_statement(pg, s);
}

static bool send_added_text(struct pg *pg, const char *sql)
{
    struct pg_statement s;
    pg_statement_init(&s, sql);
    return send_added(pg, &s);
}

static bool send_settings(struct pg *pg)
{
    struct pg_statement s;
    pg_statement_init(&s, SQL_SET_TRANSACTION);
    pg_add_text(&s, pg->role);
    pg_add_text(&s, "0");
    return send_added(pg, &s);
}

/* Sends what the adapter adds before a caller's statement. */
static bool send_before(struct pg *pg, const char *sql)
{
    struct pg_pipeline *p = &pg->pipeline;
    if (is_word(sql, "begin")) {
        assert(!p->wrapped);
        return true;
    }
    if (is_begun(pg))
        return send_settings(pg);
    if (p->wrapped || !is_outside(pg) || is_word(sql, "rollback"))
        return true;
    p->wrapped = true;
    return send_added_text(pg, PG_BEGIN) && send_settings(pg);
}

static bool send_given(struct pg *pg, const struct pg_statement *s)
{
    struct pg_statement begin;
    pg->pipeline.sent++;
    if (strcasecmp(s->sql, "begin") != 0)
        return send_statement(pg, s);
    pg_statement_init(&begin, PG_BEGIN);
    return send_statement(pg, &begin);
}

/* libpq applies this mode to the statement whose result comes next. */
static bool start_rows(struct pg *pg)
{
    const struct pg_pipeline *p = &pg->pipeline;
    bool is_due = p->on_row && p->at < p->sent && !p->is_added[p->at];
    return !is_due || PQsetSingleRowMode(pg->conn);
}

void pg_pipeline_begin(struct pg *pg, int most)
{
    struct pg_pipeline *p = &pg->pipeline;
    p->active = true;
    p->most = most;
    p->results = xcalloc((size_t)most, sizeof(PGresult *));
    p->is_added = xcalloc(3 * (size_t)most + 1, sizeof(bool)); /* COMMIT comes once, at the end */
}

void pg_pipeline_add(struct pg *pg, const struct pg_statement *s)
{
    struct pg_pipeline *p = &pg->pipeline;
    assert(p->n < p->most);
    p->n++;
    if (p->send_failed)
        return;
    p->send_failed = !send_before(pg, s->sql) || !send_given(pg, s);
    p->before = s->sql;
}

static int end_statements(struct pg *pg, struct err *e)
{
    struct pg_pipeline *p = &pg->pipeline;
    p->next = NULL;
    if (p->wrapped && !p->send_failed)
        p->send_failed = !send_added_text(pg, "commit");
    if (p->send_failed || !start_rows(pg) || !PQpipelineSync(pg->conn))
        return send_failed(pg, e);
    return 0;
}

/* Writes what the socket takes; true if libpq still has some. A write that fails is not an error
 * here: libpq reports it once what the server sent has been read. */
static bool has_unsent(struct pg *pg)
{
    return PQflush(pg->conn) == 1;
}

static size_t bytes_of(const struct pg_statement *s)
{
    size_t bytes = 0;
    for (int i = 0; i < s->params; i++)
        if (s->values[i])
            bytes += s->formats[i] ? (size_t)s->lengths[i] : strlen(s->values[i]);
    return bytes;
}

/* Small statements leave together with what follows them. A process that is frozen between two
 * writes would keep the locks of the first one. */
static enum pg_more add_some(struct pg *pg)
{
    struct pg_pipeline *p = &pg->pipeline;
    struct pg_statement s;
    enum pg_more more;
    do {
        more = p->next(p->owner, &s);
        if (more == PG_STATEMENT)
            pg_pipeline_add(pg, &s);
    } while (more == PG_STATEMENT && !p->send_failed && bytes_of(&s) < TOGETHER_BYTES);
    return more;
}

/* Writes, and pulls more statements from the caller as long as the socket takes all of them.
 * *unsent: what the last write found. The caller of this function must not ask again: the socket
 * may have drained since, and then nobody would pull the rest. */
static int pull(struct pg *pg, bool *unsent, struct err *e)
{
    struct pg_pipeline *p = &pg->pipeline;
    while (!(*unsent = has_unsent(pg)) && p->next) {
        enum pg_more more = add_some(pg);
        if (more == PG_LATER) {
            *unsent = has_unsent(pg);
            return 0;
        }
        if ((more == PG_END || p->send_failed) && end_statements(pg, e) != 0)
            return -1;
    }
    return 0;
}

/* Writes what can be written, and polls for the rest. */
static void flush(struct pg *pg)
{
    struct err e;
    bool unsent;
    if (pull(pg, &unsent, &e) != 0) {
        pg_lost(pg, &e);
        return;
    }
    pg_watch(pg, UV_READABLE | (unsent ? UV_WRITABLE : 0));
}

int pg_pipeline_end(struct pg *pg, struct err *e)
{
    if (end_statements(pg, e) != 0)
        return -1;
    flush(pg);
    return 0;
}

static void clear_pipeline(struct pg_pipeline *p)
{
    for (int i = 0; p->results && i < p->n; i++)
        PQclear(p->results[i]);
    free(p->results);
    free(p->is_added);
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
    clear_pipeline(p); /* of SETUP, whose done is not called */
    *p = (struct pg_pipeline){0};
}

/* done may start the next pipeline at once, so this one is moved aside first. */
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
    if (p->error.kind == ERR_NONE)
        pg->fatal = (struct err){0}; /* the connection lives on after all */
    p->active = false;
    pg->in_transaction = left_a_transaction(pg);
    uv_timer_stop(&pg->timer);
    machine_go(&PG_MACHINE, pg->state, PG_IS_READY);
    pg_pipeline_finish(pg);
}

static void take_error(struct pg *pg, PGresult *r)
{
    struct pg_pipeline *p = &pg->pipeline;
    struct err e;
    pg_result_err(&e, pg->conn, r);
    pg_note_fatal(pg, r, &e);
    PQclear(r);
    bool is_added = p->at < p->sent && p->is_added[p->at];
    if (pg_is_read_only(&e, is_added)) {
        err_set(&e, ERR_CLOSED, "PostgreSQL at %s:%s is read-only (a standby, or failed over)",
                PQhost(pg->conn), PQport(pg->conn));
        pg_lost(pg, &e);
    } else if (is_added && pg->state == PG_IS_BUSY && pg_is_data_fault(&e)) {
        pg_lost(pg, &e); /* a role or a setting is missing: the caller's data are not at fault */
    } else if (p->error.kind == ERR_NONE) {
        p->error = e;
    }
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
    if (p->rolling_back || p->on_row || p->at >= p->sent || p->is_added[p->at]) {
        PQclear(r);
        return;
    }
    assert(p->kept < p->most);
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
#ifdef LIBPQ_HAS_CHUNK_MODE /* libpq 17; only for those who ask for chunks */
    case PGRES_TUPLES_CHUNK:
#endif
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

/* Each result may end the pipeline, begin the next one, or drop the connection, so everything is
 * looked up again each time. One NULL ends a statement. A second one means that libpq has nothing
 * more, as after a FATAL error: the socket will tell that the connection is gone. */
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
            (void)start_rows(pg); /* fails only if no statement is left that could give rows */
        }
        ended = !r;
    }
}

/* Also when nobody asks for them: behind a pooler, a session may be one that another client has let
 * listen, and libpq would keep them all. */
static void take_notifications(struct pg *pg)
{
    PGnotify *notification;
    while ((notification = PQnotifies(pg->conn))) {
        PQfreemem(notification);
        pg->tell_notified = true;
    }
    if (pg->tell_notified)
        pg_start_soon(pg);
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
    /* With nothing in flight, this makes libpq look at messages that the server sent unasked. */
    if (!pg->pipeline.active)
        (void)PQisBusy(pg->conn);
    take_notifications(pg);
    flush(pg);
}

static void start_pipeline(struct pg *pg, int most, uint64_t deadline_ms)
{
    machine_go(&PG_MACHINE, pg->state, PG_IS_BUSY);
    pg_start_timer(pg, deadline_ms);
    pg_pipeline_begin(pg, most);
}

static void end_pipeline(struct pg *pg)
{
    struct err e;
    if (pg_pipeline_end(pg, &e) != 0)
        pg_lost(pg, &e);
}

void pg_run(struct pg *pg, const struct pg_statement *statements, int n, uint64_t deadline_ms,
            pg_done_fn done, void *owner)
{
    assert(pg_is_ready(pg) && n > 0 && done);
    pg->pipeline = (struct pg_pipeline){.done = done, .owner = owner};
    start_pipeline(pg, n, deadline_ms);
    for (int i = 0; i < n; i++)
        pg_pipeline_add(pg, &statements[i]);
    end_pipeline(pg);
}

void pg_pull(struct pg *pg, int most, uint64_t deadline_ms, pg_next_fn next, pg_done_fn done,
             void *owner)
{
    assert(pg_is_ready(pg) && most > 0 && next && done);
    pg->pipeline = (struct pg_pipeline){.next = next, .done = done, .owner = owner};
    start_pipeline(pg, most, deadline_ms);
    pg_push(pg);
}

void pg_push(struct pg *pg)
{
    if (pg->pipeline.active && pg->pipeline.next)
        flush(pg);
}

void pg_stream(struct pg *pg, const struct pg_statement *statement, uint64_t deadline_ms,
               pg_row_fn on_row, pg_done_fn done, void *owner)
{
    assert(pg_is_ready(pg) && on_row && done);
    pg->pipeline = (struct pg_pipeline){.on_row = on_row, .done = done, .owner = owner};
    start_pipeline(pg, 1, deadline_ms);
    pg_pipeline_add(pg, statement);
    end_pipeline(pg);
}
