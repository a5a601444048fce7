/* The happy path: one transaction a page takes the claimers' lock, reads the next dirty totals,
 * writes submissions and claims, and commits.
 *
 *      RESTING --> LOCKING --> READING --> WRITING --> COMMITTING --> RESTING (last page)
 *                    ^  |                     |            |
 *                    |  +--> GIVING_UP        |            |
 *                    +------------------------+------------+  (next page, or half a page again)
 *
 * The failure modes: another sink holds the lock, or sinks are held: GIVING_UP rolls back, and
 * nothing is claimed. The connection is lost, even in COMMIT: the run ends, and the next one sees
 * by the tables alone what was claimed. The database refuses a page (two customers that changed
 * places can meet in one minute): it was rolled back, and half of it is tried, down to the one
 * total that is refused; that one is logged and left for the next cycle, in which the minute is
 * another. */
#include "sink/claim.h"

#include "common/log.h"
#include "sink/claim_batch.h"
#include "sink/sql.h"
#include "sink/transport.h"

#include <assert.h>
#include <stdlib.h>

enum { PAGE_ROWS = 5000, DEADLINE_MS = 60000 };
enum claimer_state { RESTING, LOCKING, GIVING_UP, READING, WRITING, COMMITTING };

#define TO(state) (1u << (state))
static const unsigned MOVES[] = {
    [RESTING] = TO(LOCKING),
    [LOCKING] = TO(READING) | TO(GIVING_UP) | TO(RESTING),
    [GIVING_UP] = TO(RESTING),
    [READING] = TO(WRITING) | TO(COMMITTING) | TO(RESTING),
    [WRITING] = TO(COMMITTING) | TO(LOCKING) | TO(RESTING),
    [COMMITTING] = TO(LOCKING) | TO(RESTING),
};

struct claimer {
    struct session *session;
    enum claimer_state state;
    struct claim_place after;   /* the next page begins behind it */
    struct claim_place reached; /* the last total of this page */
    struct claim_batch batch;
    int64_t page_rows; /* of the next page: smaller while a refused total is looked for */
    int64_t rows;      /* read in this page */
    int64_t now_ms;    /* the database's clock */
    bool stopping;     /* this page is the last */
    struct claim_report report;
    claim_done_fn done;
    void *owner;
};

static void run_lock(struct claimer *c);

static void claimer_go(struct claimer *c, enum claimer_state next)
{
    assert(MOVES[c->state] & TO(next));
    c->state = next;
}

static void go_on_behind(struct claimer *c)
{
    const struct claim_key key = {c->reached.tenant, c->reached.metric, c->reached.period_start_us};
    claim_place_set(&c->after, &key);
}

static void end_run(struct claimer *c, const struct err *error)
{
    claimer_go(c, RESTING);
    c->done(c->owner, error, &c->report);
}

static void run(struct claimer *c, const struct pg_statement *statements, int n, pg_done_fn done)
{
    session_run(c->session, statements, n, DEADLINE_MS, done, c);
}

static void take_rollback(void *owner, const struct err *error, PGresult **results, int n)
{
    (void)results;
    (void)n;
    end_run(owner, error);
}

static void run_give_up(struct claimer *c)
{
    struct pg_statement s;
    claimer_go(c, GIVING_UP);
    pg_statement_init(&s, "rollback");
    run(c, &s, 1, take_rollback);
}

static void next_page(struct claimer *c)
{
    bool more = c->rows == c->page_rows && !c->stopping;
    go_on_behind(c);
    c->page_rows = 2 * c->page_rows < PAGE_ROWS ? 2 * c->page_rows : PAGE_ROWS;
    if (more)
        run_lock(c);
    else
        end_run(c, NULL);
}

static void count_page(struct claimer *c)
{
    const struct claim_batch *b = &c->batch;
    c->report.made += b->counts[CLAIM_MAKE];
    c->report.marked += b->counts[CLAIM_MARK];
    c->report.waiting += b->counts[CLAIM_WAIT];
    c->report.outside += b->counts[CLAIM_OUTSIDE];
    c->report.late += b->late;
    c->report.refused += b->refused;
}

static void take_commit(void *owner, const struct err *error, PGresult **results, int n)
{
    struct claimer *c = owner;
    (void)results;
    (void)n;
    if (error) {
        end_run(c, error);
        return;
    }
    count_page(c);
    if (c->rows > 0)
        next_page(c);
    else
        end_run(c, NULL);
}

static void run_commit(struct claimer *c)
{
    struct pg_statement s;
    claimer_go(c, COMMITTING);
    stage_crash_point("in_claim");
    pg_statement_init(&s, "commit");
    run(c, &s, 1, take_commit);
}

/* The page was rolled back. */
static void take_refusal(struct claimer *c, const struct err *error)
{
    if (c->rows > 1 && c->stopping) {
        end_run(c, error);
        return;
    }
    if (c->rows > 1) {
        c->page_rows = c->rows / 2;
        run_lock(c);
        return;
    }
    c->report.refused++;
    log_error("claim_refused", LOG_STR("tenant", c->reached.tenant),
              LOG_STR("metric", c->reached.metric), LOG_STR("sqlstate", error->sqlstate),
              LOG_ERR(error));
    next_page(c);
}

static void take_written(void *owner, const struct err *error, PGresult **results, int n)
{
    struct claimer *c = owner;
    (void)results;
    (void)n;
    if (!error)
        run_commit(c);
    else if (error->kind == ERR_REFUSED)
        take_refusal(c, error);
    else
        end_run(c, error);
}

static void run_write(struct claimer *c)
{
    struct pg_statement s[2];
    int n = claim_batch_statements(&c->batch, s);
    if (n == 0) {
        run_commit(c);
        return;
    }
    claimer_go(c, WRITING);
    run(c, s, n, take_written);
}

static void take_page(void *owner, const struct err *error, PGresult **results, int n)
{
    struct claimer *c = owner;
    (void)n;
    if (error) {
        end_run(c, error);
        return;
    }
    c->rows = PQntuples(results[0]);
    claim_batch_clear(&c->batch);
    claim_batch_fill(&c->batch, results[0], c->now_ms);
    if (c->rows > 0) {
        struct claim_key key = claim_batch_key(results[0], (int)c->rows - 1);
        claim_place_set(&c->reached, &key);
    }
    run_write(c);
}

static void add_transports(struct pg_statement *s, struct pg_array *names)
{
    pg_array_init(names, PG_TEXT);
    for (int i = 0; TRANSPORTS[i]; i++)
        pg_array_add_text(names, TRANSPORTS[i]->name);
    pg_add_array(s, names);
}

static void run_read(struct claimer *c)
{
    struct pg_statement s;
    struct pg_array names;
    unsigned char start[8];
    unsigned char rows[8];
    claimer_go(c, READING);
    pg_statement_init(&s, SQL_READ_DIRTY);
    pg_add_text(&s, c->after.tenant);
    pg_add_text(&s, c->after.metric);
    pg_add_i64(&s, c->after.period_start_us, start);
    s.types[2] = PG_TIMESTAMPTZ; /* whose bytes are those of its microseconds */
    pg_add_i64(&s, c->page_rows, rows);
    add_transports(&s, &names);
    s.binary_result = true;
    run(c, &s, 1, take_page);
    pg_array_done(&names);
}

static void take_lock(void *owner, const struct err *error, PGresult **results, int n)
{
    struct claimer *c = owner;
    (void)n;
    if (error) {
        end_run(c, error);
        return;
    }
    c->report.busy = !pg_get_i64(results[1], 0, 0);
    c->report.held = pg_get_i64(results[1], 0, 1) != 0;
    c->now_ms = pg_get_time_ms(results[1], 0, 2);
    if (c->report.busy || c->report.held)
        run_give_up(c);
    else
        run_read(c);
}

static void run_lock(struct claimer *c)
{
    struct pg_statement s[2];
    claimer_go(c, LOCKING);
    pg_statement_init(&s[0], "begin");
    pg_statement_init(&s[1], SQL_LOCK_CLAIMS);
    s[1].binary_result = true;
    run(c, s, 2, take_lock);
}

struct claimer *claimer_new(struct session *session)
{
    struct claimer *c = xcalloc(1, sizeof *c);
    c->session = session;
    claim_batch_init(&c->batch);
    return c;
}

void claimer_free(struct claimer *c)
{
    claim_batch_done(&c->batch);
    claim_place_done(&c->after);
    claim_place_done(&c->reached);
    free(c);
}

void claimer_start(struct claimer *c, claim_done_fn done, void *owner)
{
    const struct claim_key before_all = {"", "", INT64_MIN}; /* -infinity */
    claim_place_set(&c->after, &before_all);
    c->report = (struct claim_report){0};
    c->page_rows = PAGE_ROWS;
    c->done = done;
    c->owner = owner;
    run_lock(c);
}

void claimer_stop(struct claimer *c)
{
    c->stopping = true;
}

bool claimer_is_resting(const struct claimer *c)
{
    return c->state == RESTING;
}
