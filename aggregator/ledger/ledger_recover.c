/* What others left pending. Sums that were lost with their process are counted from the raw events,
 * a batch a transaction; then each stream is folded in one. So no deadline is met by much. */
#include "aggregator/ledger/ledger.h"

#include "aggregator/sql.h"

enum { LEFT_DEADLINE_MS = 120000 };

static void run_count(struct ledger *l);

static void bind_streams(struct ledger *l, struct pg_statement *s, const char *sql)
{
    pg_statement_init(s, sql);
    pg_add_text(s, l->stream);
    pg_add_array(s, &l->arrays[0]);
}

static void take_fold(void *owner, const struct err *error, PGresult **results, int n)
{
    struct ledger *l = owner;

    (void)n;
    if (error == NULL) {
        l->on_totals(l->totals_owner, results[0]);
        results[0] = NULL; /* the rows are the taker's: see pg_done_fn */
        run_count(l);
    } else {
        ledger_finish(l, error);
    }
}

static void run_fold(struct ledger *l)
{
    struct pg_statement s;

    bind_streams(l, &s, SQL_FOLD_LEFT);
    pg_run(l->pg, &s, 1, LEFT_DEADLINE_MS, take_fold, l);
}

static void take_count(void *owner, const struct err *error, PGresult **results, int n)
{
    struct ledger *l = owner;

    (void)n;
    if (error != NULL || strcmp(PQgetvalue(results[0], 0, 1), "0") == 0)
        ledger_finish(l, error);
    else if (strcmp(PQgetvalue(results[0], 0, 0), "0") != 0)
        run_count(l);
    else
        run_fold(l);
}

static void run_count(struct ledger *l)
{
    struct pg_statement s;

    bind_streams(l, &s, SQL_COUNT_LEFT);
    pg_run(l->pg, &s, 1, LEFT_DEADLINE_MS, take_count, l);
}

void ledger_recover_sums(struct ledger *l, struct pg_array *current, ledger_done_fn done,
                         void *owner)
{
    ledger_start(l, done, owner, NULL);
    pg_array_done(&l->arrays[0]);
    l->arrays[0] = *current;
    run_count(l);
}
