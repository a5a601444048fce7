/*      WAITING --usable--> CLAIMING --rehearsed--> LISTING --all rows--> LEAVING --> (the end)
 *
 * What was claimed is read back from the transaction that claimed it, before it is rolled back: so
 * it is what a sink would write, to the last digit. It goes into a temporary file first, and is
 * printed after the transaction: claims of all sinks wait for that one, and must not wait for the
 * reader of our output. */
#include "sink/dry_run.h"

#include "common/log.h"
#include "sink/claim/claim.h"
#include "sink/session.h"
#include "sink/sql.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEADLINE_MS = 600000 };

/* Columns of list_sendable.sql; those before CLAIMED are printed under their names. */
enum { STATE = 8, CLAIMED = 9, METER = 10 };

struct dry_run {
    struct stage *stage;
    struct session *session;
    struct claimer *claimer;
    bool started;
    bool ended;
    FILE *lines; /* NULL until it is begun */
    int64_t rows;
    int64_t claimed;
    int64_t pending;
    int64_t held;
    int64_t late;
    int64_t meter_held;
};

static void end(struct dry_run *d, const struct err *error)
{
    if (d->ended)
        return;
    d->ended = true;
    if (error)
        log_error(dry_run_failed, LOG_ERR(error));
    stage_finish(d->stage, error ? EXIT_FAILED : EXIT_DONE);
}

static void end_without_file(struct dry_run *d)
{
    struct err e;
    err_set(&e, ERR_IO, "temporary file: %s", strerror(errno));
    end(d, &e);
}

static void print_lines(const struct dry_run *d)
{
    char part[65536];
    size_t bytes;
    rewind(d->lines);
    while ((bytes = fread(part, 1, sizeof part, d->lines)) > 0)
        (void)fwrite(part, 1, bytes, stdout);
    printf("would_send_total submissions=%lld claimed=%lld pending=%lld held=%lld late=%lld "
           "meter_held=%lld\n",
           (long long)d->rows, (long long)d->claimed, (long long)d->pending, (long long)d->held,
           (long long)d->late, (long long)d->meter_held);
}

static void take_rollback(void *owner, const struct err *error, PGresult **results, int n)
{
    struct dry_run *d = owner;
    (void)error; /* the connection's end rolls back as well */
    (void)results;
    (void)n;
    if (!d->ended)
        print_lines(d);
    end(d, NULL);
}

/* Without quotes where logfmt needs none. */
static void add_value(struct buf *line, const char *value)
{
    if (*value && !strpbrk(value, " =\"\\"))
        buf_add_str(line, value);
    else
        buf_add_json_str(line, value, strlen(value));
}

static void write_row(FILE *lines, const PGresult *row)
{
    struct buf line = {0};
    bool waits = !PQgetisnull(row, 0, METER);
    buf_add_str(&line, waits ? "would_wait" : "would_send");
    for (int column = 0; column <= STATE; column++) {
        buf_printf(&line, " %s=", PQfname(row, column));
        add_value(&line, PQgetvalue(row, 0, column));
    }
    if (waits) {
        buf_add_str(&line, " meter_held=");
        add_value(&line, PQgetvalue(row, 0, METER));
    }
    buf_add_char(&line, '\n');
    (void)fwrite(line.data, 1, line.length, lines);
    buf_done(&line);
}

static void on_row(void *owner, const PGresult *row)
{
    struct dry_run *d = owner;
    const char *state = PQgetvalue(row, 0, STATE);
    d->rows++;
    d->claimed += *PQgetvalue(row, 0, CLAIMED) == 't';
    d->pending += !strcmp(state, "pending");
    d->held += !strcmp(state, "held");
    d->late += !strcmp(state, "late");
    d->meter_held += !PQgetisnull(row, 0, METER);
    write_row(d->lines, row);
}

static void take_list(void *owner, const struct err *error, PGresult **results, int n)
{
    struct dry_run *d = owner;
    struct pg_statement s;
    (void)results;
    (void)n;
    if (error || d->ended) {
        end(d, error);
    } else if (fflush(d->lines)) {
        end_without_file(d);
    } else {
        pg_statement_init(&s, "rollback");
        session_run(d->session, &s, 1, DEADLINE_MS, take_rollback, d);
    }
}

static void take_claims(void *owner, const struct err *error, const struct claim_report *report)
{
    struct dry_run *d = owner;
    struct pg_statement s;
    if (error || d->ended) {
        end(d, error);
        return;
    }
    if (report->on_hold)
        log_warn(sinks_held, LOG_MSG("sinks are held: this would be sent once the hold is lifted"));
    pg_statement_init(&s, SQL_LIST_SENDABLE);
    session_stream(d->session, &s, DEADLINE_MS, on_row, take_list, d);
}

static void on_usable(void *owner)
{
    static const struct claim_order REHEARSAL = {.rehearsal = true};
    struct dry_run *d = owner;
    if (d->started)
        return;
    d->started = true;
    d->lines = tmpfile();
    if (!d->lines) {
        end_without_file(d);
        return;
    }
    claimer_start(d->claimer, &REHEARSAL, take_claims, d);
}

struct dry_run *dry_run_open(struct stage *stage, const char *database_url)
{
    struct dry_run *d = xcalloc(1, sizeof *d);
    d->stage = stage;
    d->session = session_open(stage, database_url, "dry run",
                              (struct session_events){.on_usable = on_usable, .owner = d});
    d->claimer = claimer_new(d->session);
    return d;
}

bool dry_run_is_ready(const struct dry_run *d, struct buf *why)
{
    return d->started || session_is_usable(d->session, why);
}

void dry_run_drain(struct dry_run *d)
{
    d->ended = true; /* nothing that is under way matters */
    stage_drained(d->stage);
}

static void release(void *owner)
{
    struct dry_run *d = owner;
    claimer_free(d->claimer);
    if (d->lines)
        fclose(d->lines);
    free(d);
}

void dry_run_close(struct dry_run *d)
{
    session_close(d->session, release, d);
}
