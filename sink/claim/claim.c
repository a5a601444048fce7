/* The happy path: one transaction a page takes the claimers' lock, reads what is to be claimed
 * next, writes submissions and claims, and commits. Late submissions that a person carries over
 * come first, pass by pass until there are no more. Dirty totals follow.
 *
 *      RESTING --> LOCKING --> READING --> WRITING --> COMMITTING --> RESTING (last page)
 *                    ^  |       ^   |         |            |
 *                    |  |       +---+         |            |        (nothing is carried over)
 *                    |  +--> GIVING_UP        |            |
 *                    +------------------------+------------+  (next page, or half a page again)
 *
 * A rehearsal goes from WRITING back to READING, and ends without COMMIT.
 *
 * The failure modes:
 * - Another sink makes this run, or sinks are held: GIVING_UP rolls back, and nothing is claimed.
 * - The connection is lost, even in COMMIT: the run ends. The next one sees in the tables what was
 *   claimed.
 * - The database refuses a page, as two customers that were swapped can meet in one minute. The
 * page was rolled back, and half of it is tried, down to the one total that is refused. That one is
 *   logged, and SKIPPING leaves it for the next cycle, which gives it another minute and
 *   identifier. */
#include "sink/claim/claim.h"

#include "common/log.h"
#include "common/machine.h"
#include "sink/claim/claim_page.h"
#include "sink/sql.h"

#include <stdlib.h>

enum { PAGE_ROWS = 5000, DEADLINE_MS = 60000 };
enum claimer_state { RESTING, LOCKING, GIVING_UP, READING, WRITING, SKIPPING, COMMITTING };

static const struct machine CLAIMER = {
    "claimer",
    {[RESTING] = {"resting", TO(LOCKING)},
     [LOCKING] = {"locking", TO(READING) | TO(GIVING_UP) | TO(RESTING)},
     [GIVING_UP] = {"giving_up", TO(RESTING)},
     [READING] = {"reading", TO(READING) | TO(WRITING) | TO(COMMITTING) | TO(RESTING)},
     [WRITING] = {"writing",
                  TO(COMMITTING) | TO(SKIPPING) | TO(LOCKING) | TO(READING) | TO(RESTING)},
     [SKIPPING] = {"skipping", TO(LOCKING) | TO(RESTING)},
     [COMMITTING] = {"committing", TO(LOCKING) | TO(RESTING)}}};

struct claimer {
    struct session *session;
    enum claimer_state state;
    struct claim_order order;
    struct claim_lock lock;
    enum claim_pass pass;
    struct claim_cursor after;   /* the next page begins behind it */
    struct claim_cursor reached; /* the last total of this page */
    struct claim_page page;
    int64_t page_rows; /* of the next page: smaller while a refused total is looked for */
    int64_t rows;      /* read in this page */
    int64_t carried;   /* in this pass */
    struct claim_time at;
    int64_t hold;  /* ledger_state.sink_hold, as read for this page */
    bool stopping; /* this page is the last */
    struct claim_report report;
    claim_done_fn done;
    void *owner;
};

static void run_lock(struct claimer *c);
static void run_read(struct claimer *c);

static void end_run(struct claimer *c, const struct err *error)
{
    machine_go(&CLAIMER, c->state, RESTING);
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
    machine_go(&CLAIMER, c->state, GIVING_UP);
    pg_statement_init(&s, "rollback");
    run(c, &s, 1, take_rollback);
}

/* A pass over those carried takes one of each tenant and metric, so that it is made again until one
 * takes none. */
static void begin_pass(struct claimer *c, enum claim_pass pass)
{
    c->pass = pass;
    c->carried = 0;
    claim_cursor_reset(&c->after);
}

static void next_page(struct claimer *c)
{
    bool last = c->pass == CLAIM_DIRTY && c->rows < c->page_rows;
    c->page_rows = 2 * c->page_rows < PAGE_ROWS ? 2 * c->page_rows : PAGE_ROWS;
    if (last || c->stopping) {
        end_run(c, NULL);
        return;
    }
    const struct claim_key reached = claim_cursor_key(&c->reached);
    claim_cursor_set(&c->after, &reached);
    if (c->order.rehearsal)
        run_read(c);
    else
        run_lock(c);
}

static void count_page(struct claimer *c)
{
    const struct claim_page *p = &c->page;
    c->report.made += p->counts[CLAIM_MAKE];
    c->report.marked += p->counts[CLAIM_MARK];
    c->report.waiting += p->counts[CLAIM_WAIT];
    c->report.outside += p->counts[CLAIM_OUTSIDE];
    c->report.unmapped += p->counts[CLAIM_UNMAPPED];
    c->report.late += p->late;
    c->report.held += p->held;
    c->report.carried += p->carried;
    c->report.split += p->split;
    c->report.refused += p->refused;
    c->carried += p->carried;
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
    if (c->order.on_page && c->page.counts[CLAIM_MAKE] > 0)
        c->order.on_page(c->owner);
    next_page(c);
}

static void run_commit(struct claimer *c)
{
    struct pg_statement s;
    machine_go(&CLAIMER, c->state, COMMITTING);
    stage_crash_point("in_claim");
    pg_statement_init(&s, "commit");
    run(c, &s, 1, take_commit);
}

static void take_skipped(void *owner, const struct err *error, PGresult **results, int n)
{
    struct claimer *c = owner;
    (void)results;
    (void)n;
    if (error)
        end_run(c, error);
    else
        next_page(c);
}

static void run_skip(struct claimer *c, const struct err *refusal)
{
    struct pg_statement s;
    unsigned char start[8];
    machine_go(&CLAIMER, c->state, SKIPPING);
    c->report.refused++;
    log_error(claim_refused, LOG_STR("tenant", c->reached.tenant),
              LOG_STR("metric", c->reached.metric), LOG_STR("sqlstate", refusal->sqlstate),
              LOG_ERR(refusal));
    pg_statement_init(&s, SQL_SKIP_CLAIM);
    pg_add_text(&s, c->reached.tenant);
    pg_add_text(&s, c->reached.metric);
    pg_add_i64(&s, c->reached.period_start_us, start);
    s.types[2] = PG_TIMESTAMPTZ; /* whose bytes are those of its microseconds */
    run(c, &s, 1, take_skipped);
}

/* The page was rolled back. */
static void take_refusal(struct claimer *c, const struct err *error)
{
    if (c->order.rehearsal || (c->rows > 1 && c->stopping)) {
        end_run(c, error);
        return;
    }
    if (c->rows > 1) {
        c->page_rows = c->rows / 2;
        run_lock(c);
        return;
    }
    run_skip(c, error);
}

static void end_page(struct claimer *c)
{
    if (!c->order.rehearsal) {
        run_commit(c);
        return;
    }
    count_page(c);
    next_page(c);
}

static void take_written(void *owner, const struct err *error, PGresult **results, int n)
{
    struct claimer *c = owner;
    (void)results;
    (void)n;
    if (!error)
        end_page(c);
    else if (error->kind == ERR_REFUSED && !error->retry)
        take_refusal(c, error);
    else
        end_run(c, error);
}

static void run_write(struct claimer *c)
{
    struct pg_statement s[CLAIM_STATEMENTS];
    int n = claim_page_statements(&c->page, s);
    if (n == 0) {
        end_page(c);
        return;
    }
    machine_go(&CLAIMER, c->state, WRITING);
    run(c, s, n, take_written);
}

static void take_page(void *owner, const struct err *error, PGresult **results, int n)
{
    struct claimer *c = owner;
    if (error) {
        end_run(c, error);
        return;
    }
    const PGresult *page = results[n - 1];
    c->rows = PQntuples(page);
    if (c->rows == 0 && c->pass == CLAIM_CARRIED && !c->stopping) {
        begin_pass(c, c->carried > 0 ? CLAIM_CARRIED : CLAIM_DIRTY);
        run_read(c);
        return;
    }
    claim_page_clear(&c->page);
    claim_page_fill(&c->page, page, c->at);
    if (c->rows > 0) {
        struct claim_key key = claim_page_key(page, (int)c->rows - 1);
        claim_cursor_set(&c->reached, &key);
    }
    run_write(c);
}

static void run_read(struct claimer *c)
{
    struct pg_statement s[PAGE_STATEMENTS];
    struct claim_query query = {.pass = c->pass,
                                .after = &c->after,
                                .rows = c->page_rows,
                                .tenants = c->order.tenants,
                                .hold = c->order.rehearsal ? 0 : c->hold,
                                .half = c->order.half};
    machine_go(&CLAIMER, c->state, READING);
    run(c, s, claim_query_page(&query, s), take_page);
    claim_query_done(&query);
}

static void take_lock(void *owner, const struct err *error, PGresult **results, int n)
{
    struct claimer *c = owner;
    if (error) {
        end_run(c, error);
        return;
    }
    const PGresult *terms = results[n - 1];
    c->report.busy = !pg_get_i64(results[n - 2], 0, 0);
    c->hold = pg_get_i64(terms, 0, 0);
    c->report.unchecked = c->hold < 0;
    c->report.on_hold = c->hold > 0 && !pg_get_i64(terms, 0, 3);
    c->at = (struct claim_time){pg_get_time_ms(terms, 0, 1), pg_get_i64(terms, 0, 2)};
    if (c->report.busy || ((c->report.on_hold || c->report.unchecked) && !c->order.rehearsal))
        run_give_up(c);
    else
        run_read(c);
}

static void run_lock(struct claimer *c)
{
    struct pg_statement s[LOCK_STATEMENTS];
    machine_go(&CLAIMER, c->state, LOCKING);
    run(c, s, claim_query_lock(s, &c->lock), take_lock);
}

void claim_report_add(struct claim_report *to, const struct claim_report *more)
{
    to->made += more->made;
    to->late += more->late;
    to->held += more->held;
    to->carried += more->carried;
    to->split += more->split;
    to->marked += more->marked;
    to->waiting += more->waiting;
    to->outside += more->outside;
    to->unmapped += more->unmapped;
    to->refused += more->refused;
    to->busy |= more->busy;
    to->on_hold |= more->on_hold;
    to->unchecked |= more->unchecked;
}

struct claimer *claimer_new(struct session *session)
{
    struct claimer *c = xcalloc(1, sizeof *c);
    c->session = session;
    claim_page_init(&c->page);
    return c;
}

void claimer_free(struct claimer *c)
{
    claim_page_done(&c->page);
    claim_cursor_done(&c->after);
    claim_cursor_done(&c->reached);
    free(c);
}

void claimer_start(struct claimer *c, const struct claim_order *order, claim_done_fn done,
                   void *owner)
{
    c->order = *order;
    c->lock = (struct claim_lock){.run = order->run, .half = order->half, .all = !order->tenants};
    c->report = (struct claim_report){0};
    c->page_rows = PAGE_ROWS;
    c->done = done;
    c->owner = owner;
    begin_pass(c, CLAIM_CARRIED);
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
