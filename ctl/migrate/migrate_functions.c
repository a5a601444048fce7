/* Functions in the database, each defined by deploy/functions/NAME.sql whenever that has changed.
 */
#include "common/clock.h"
#include "common/str.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/migrate/migrate.h"
#include "ctl/sql.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sql_function {
    const char *name;
    const char *text; /* of the file, to the byte */
};

#include "ctl/functions.h"

enum { FUNCTION_COUNT = sizeof SQL_FUNCTIONS / sizeof SQL_FUNCTIONS[0] };
enum { NAME, CHECKSUM, IS_THERE }; /* columns of read_functions.sql */
enum { NAMES_SHOWN = 10 };

/* What there is to do. */
enum action { KEEP, CREATE, REPLACE };
struct plan {
    enum action actions[FUNCTION_COUNT]; /* of each of SQL_FUNCTIONS */
    const char **drop;                   /* names, borrowed from known */
    int dropped;
    int count;       /* of all that is not kept */
    PGresult *known; /* what read_functions.sql said; NULL: nothing was ever defined */
};

void migrate_checksum(const char *text, char out[MIGRATE_CHECKSUM_SIZE])
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(hash, (const unsigned char *)text, strlen(text));
    sodium_bin2hex(out, MIGRATE_CHECKSUM_SIZE, hash, sizeof hash);
}

static void plan_close(struct plan *p)
{
    PQclear(p->known);
    free(p->drop);
}

static bool is_ours(const char *name)
{
    for (int i = 0; i < FUNCTION_COUNT; i++)
        if (strcmp(SQL_FUNCTIONS[i].name, name) == 0)
            return true;
    return false;
}

static int plan_open(struct plan *p, PGconn *conn, bool is_empty, struct err *e)
{
    *p = (struct plan){0};
    if (!is_empty && !(p->known = db_query(conn, SQL_READ_FUNCTIONS, 0, NULL, e)))
        return -1;
    for (int i = 0; i < FUNCTION_COUNT; i++) {
        char checksum[MIGRATE_CHECKSUM_SIZE];
        migrate_checksum(SQL_FUNCTIONS[i].text, checksum);
        int row = db_find(p->known, NAME, SQL_FUNCTIONS[i].name);
        if (row < 0)
            p->actions[i] = CREATE;
        else if (strcmp(db_text(p->known, row, CHECKSUM), checksum) != 0 ||
                 *db_text(p->known, row, IS_THERE) == 'f')
            p->actions[i] = REPLACE;
        p->count += p->actions[i] != KEEP;
    }
    int rows = PQntuples(p->known);
    p->drop = xcalloc((size_t)rows + 1, sizeof *p->drop);
    for (int i = 0; i < rows; i++)
        if (!is_ours(db_text(p->known, i, NAME)))
            p->drop[p->dropped++] = db_text(p->known, i, NAME);
    p->count += p->dropped;
    return 0;
}

/* To PostgreSQL a function with a changed signature is another function; only a migration can
 * drop the old one. */
static int explain(struct err *e, const char *name)
{
    bool is_other = strcmp(e->sqlstate, "42P13") == 0 || strcmp(e->sqlstate, "42725") == 0;
    return err_wrap(
        e, "function %s%s", name,
        is_other
            ? " (it has new parameters or another result: a migration must drop the old one first)"
            : "");
}

/* Its privileges are first reset to those of a new function, so that its file alone says who may
 * call it. */
static int define(PGconn *conn, const struct sql_function *f, struct err *e)
{
    char checksum[MIGRATE_CHECKSUM_SIZE];
    const char *values[] = {f->name, checksum};
    migrate_checksum(f->text, checksum);
    PGresult *access = db_query(conn, SQL_RESET_FUNCTION_ACCESS, 1, values, e);
    if (!access)
        return explain(e, f->name);
    int result = 0;
    for (int i = 0; i < PQntuples(access) && result == 0; i++)
        result = db_script(conn, db_text(access, i, 0), e);
    PQclear(access);
    if (result || db_script(conn, f->text, e) ||
        db_run(conn, SQL_NOTE_FUNCTION, 2, values, NULL, e))
        return explain(e, f->name);
    return 0;
}

/* All in one statement, since one may depend on another. */
static int drop_all(PGconn *conn, const struct plan *p, struct err *e)
{
    struct buf statement = {0};
    buf_add_str(&statement, "DROP FUNCTION IF EXISTS ");
    for (int i = 0; i < p->dropped; i++) {
        char *quoted = PQescapeIdentifier(conn, p->drop[i], strlen(p->drop[i]));
        buf_printf(&statement, "%spublic.%s", i ? ", " : "", quoted);
        PQfreemem(quoted);
    }
    int result = db_script(conn, statement.data, e);
    for (int i = 0; i < p->dropped && result == 0; i++)
        result = db_run(conn, SQL_FORGET_FUNCTION, 1, &p->drop[i], NULL, e);
    buf_done(&statement);
    return result ? err_wrap(e, "drop functions that this build no longer has") : 0;
}

/* SQL_FUNCTIONS are in an order by which callers follow what they call. */
static int carry_out(PGconn *conn, const struct plan *p, struct err *e)
{
    for (int i = 0; i < FUNCTION_COUNT; i++)
        if (p->actions[i] != KEEP && define(conn, &SQL_FUNCTIONS[i], e))
            return -1;
    return p->dropped ? drop_all(conn, p, e) : 0;
}

/* The names, unless there are so many that nobody would read them. */
static void tell(const char *what, int count, const char **names)
{
    if (count == 0)
        return;
    printf("functions %s: %d", what, count);
    for (int i = 0; i < count && count <= NAMES_SHOWN; i++)
        printf("%s%s", i ? ", " : ": ", names[i]);
    putchar('\n');
}

static void tell_action(const char *what, const struct plan *p, enum action action)
{
    const char *names[FUNCTION_COUNT];
    int count = 0;
    for (int i = 0; i < FUNCTION_COUNT; i++)
        if (p->actions[i] == action)
            names[count++] = SQL_FUNCTIONS[i].name;
    tell(what, count, names);
}

int functions_apply(PGconn *conn, bool is_empty, bool dry_run, struct err *e)
{
    struct plan p;
    int64_t began_ms = clock_monotonic_ms();
    if (plan_open(&p, conn, is_empty, e))
        return -1;
    int count = p.count;
    int result = dry_run ? 0 : carry_out(conn, &p, e);
    if (result == 0) {
        tell_action(dry_run ? "to create" : "created", &p, CREATE);
        tell_action(dry_run ? "to replace" : "replaced", &p, REPLACE);
        tell(dry_run ? "to drop" : "dropped", p.dropped, p.drop);
        if (!count)
            printf("functions are up to date: %d\n", FUNCTION_COUNT);
        else if (!dry_run)
            printf("functions took %lld ms\n", (long long)(clock_monotonic_ms() - began_ms));
    }
    plan_close(&p);
    return result ? -1 : count;
}

int functions_count_stale(PGconn *conn, struct err *e)
{
    struct plan p;
    if (plan_open(&p, conn, false, e))
        return -1;
    int count = p.count;
    plan_close(&p);
    return count;
}
