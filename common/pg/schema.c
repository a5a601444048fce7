/* One SELECT, and a pure rule for its answer. */
#include "common/pg/schema.h"

#include "common/contract.h"
#include "common/sql.h"
#include "common/str.h"

#include <stdlib.h>
#include <string.h>

enum { SCHEMA_DEADLINE_MS = 5000 };

#define SQLSTATE_UNDEFINED_TABLE "42P01"
#define SQLSTATE_NOT_PERMITTED   "42501"

struct check {
    schema_done_fn done;
    void *owner;
};

static int not_ready(struct err *e, const char *text)
{
    err_set(e, ERR_SCHEMA, "%s", text);
    e->retry = true;
    return -1;
}

/* version: the newest that is applied; compatible_from: the oldest build that it suits. */
static int judge_version(int64_t version, int64_t compatible_from, struct err *e)
{
    if (version < SCHEMA_VERSION) {
        err_set(e, ERR_SCHEMA, "schema is at version %lld, %d is needed: run meterctl migrate",
                (long long)version, SCHEMA_VERSION);
        e->retry = true;
        return -1;
    }
    if (version == SCHEMA_VERSION || compatible_from <= SCHEMA_VERSION)
        return 0;
    err_set(e, ERR_SCHEMA, "schema version %lld needs programs from %lld on, this one knows %d",
            (long long)version, (long long)compatible_from, SCHEMA_VERSION);
    e->retry = false;
    return -1;
}

static int judge_error(const struct err *error, struct err *e)
{
    if (strcmp(error->sqlstate, SQLSTATE_UNDEFINED_TABLE) == 0)
        return not_ready(e, "schema is missing: run meterctl migrate");
    if (strcmp(error->sqlstate, SQLSTATE_NOT_PERMITTED) == 0)
        return not_ready(e, error->text);
    *e = *error;
    return -1;
}

static int judge_answer(const struct err *error, PGresult **results, struct err *e)
{
    if (error)
        return judge_error(error, e);
    if (PQntuples(results[0]) == 0)
        return not_ready(e, "schema is missing: run meterctl migrate");
    return judge_version(pg_get_i64(results[0], 0, 0), pg_get_i64(results[0], 0, 1), e);
}

static void take_schema(void *owner, const struct err *error, PGresult **results, int n)
{
    struct check check = *(struct check *)owner;
    struct err e = {0};
    (void)n;
    free(owner);
    int failed = judge_answer(error, results, &e);
    check.done(check.owner, failed ? &e : NULL);
}

void schema_check(struct pg *pg, schema_done_fn done, void *owner)
{
    struct check *check = xcalloc(1, sizeof *check);
    *check = (struct check){done, owner};
    struct pg_statement s;
    pg_statement_init(&s, SQL_READ_SCHEMA);
    s.binary_result = true;
    pg_run(pg, &s, 1, SCHEMA_DEADLINE_MS, take_schema, check);
}
