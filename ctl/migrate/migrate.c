/* meterctl migrate: bring the schema to this build's version.
 *
 * All of it is one transaction: missing migrations in their order, then the functions that have
 * changed. So whoever sees the new version sees all of it, and after a failure nothing has changed.
 * It first takes a lock, so that two runs at once give the same as one. The lock belongs to the
 * transaction, not to the session: that works behind a pooler too. Runs as the URL's own user, who
 * will own the tables. */
#include "ctl/migrate/migrate.h"
#include "common/clock.h"
#include "common/contract.h"
#include "common/pg/pg.h"
#include "common/sql.h"
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct migration {
    int version;
    const char *name; /* "0001_catalog" */
    const char *text; /* of the file, to the byte */
};

#include "ctl/migrations.h"

_Static_assert(MIGRATIONS_LAST == SCHEMA_VERSION, "contract.h names another newest migration");

enum { MIGRATION_COUNT = sizeof MIGRATIONS / sizeof MIGRATIONS[0] };

/* What it does, in a line: the first sentence of the comment at its head. */
static int sentence_of(const struct migration *m, const char **start)
{
    const char *text = m->text;
    if (strncmp(text, "-- compatible-from:", 19) == 0)
        text += strcspn(text, "\n") + 1;
    text += strncmp(text, "-- ", 3) == 0 ? 3 : 0;
    const char *end = text + strcspn(text, "\n");
    for (const char *at = text; at < end; at++)
        if (*at == '.' && (at + 1 == end || at[1] == ' '))
            end = at;
    *start = text;
    return (int)(end - text);
}

/* The checksum that it was applied with; NULL: it was not. */
static const char *find_applied(const PGresult *applied, int version)
{
    for (int i = 0; i < PQntuples(applied); i++)
        if (db_i64(applied, i, 0) == version)
            return db_text(applied, i, 1);
    return NULL;
}

static int apply(PGconn *conn, const struct migration *m, const char *checksum, struct err *e)
{
    char version[16];
    char oldest[16];
    int compatible_from = m->version;
    const char *values[] = {version, m->name, checksum, oldest};
    /* The first line may be a comment that says otherwise. */
    sscanf(m->text, "-- compatible-from: %d", &compatible_from);
    snprintf(version, sizeof version, "%d", m->version);
    snprintf(oldest, sizeof oldest, "%d", compatible_from);
    if (db_script(conn, m->text, e))
        return -1;
    return db_run(conn, SQL_NOTE_MIGRATION, 4, values, NULL, e);
}

/* Returns how many there were to apply, or -1 with e. */
static int apply_one(PGconn *conn, const PGresult *applied, const struct migration *m, bool dry_run,
                     struct err *e)
{
    char checksum[MIGRATE_CHECKSUM_SIZE];
    const char *what;
    int length = sentence_of(m, &what);
    const char *known = find_applied(applied, m->version);
    migrate_checksum(m->text, checksum);
    if (known && strcmp(known, checksum) != 0) {
        err_set(e, ERR_SCHEMA,
                "its text has changed since it was applied to this database; use the build that "
                "applied it, or a newer one");
        return err_wrap(e, "migration %s", m->name);
    }
    if (known || dry_run) {
        printf("%s %s", m->name, known ? "is applied already\n" : "to apply: ");
        if (!known)
            printf("%.*s\n", length, what);
        return !known;
    }
    /* Printed before it is done, since it may take long on large tables. */
    printf("%s: %.*s … ", m->name, length, what);
    (void)fflush(stdout);
    int64_t began_ms = clock_monotonic_ms();
    int failed = apply(conn, m, checksum, e);
    if (failed)
        printf("failed\n");
    else
        printf("applied in %lld ms\n", (long long)(clock_monotonic_ms() - began_ms));
    return failed ? err_wrap(e, "migration %s", m->name) : 1;
}

static int apply_all(PGconn *conn, bool is_empty, bool dry_run, struct err *e)
{
    PGresult *applied = is_empty ? NULL : db_query(conn, SQL_READ_MIGRATIONS, 0, NULL, e);
    if (!is_empty && !applied)
        return -1;
    int count = 0;
    for (int i = 0; i < MIGRATION_COUNT && count >= 0; i++) {
        int one = apply_one(conn, applied, &MIGRATIONS[i], dry_run, e);
        count = one < 0 ? -1 : count + one;
    }
    PQclear(applied);
    return count;
}

/* A newer build may have been here before us. *newest: the version that it left; 0: none did. */
static int check_newest(PGconn *conn, int64_t *newest, struct err *e)
{
    PGresult *r = db_query(conn, SQL_READ_SCHEMA, 0, NULL, e);
    if (!r)
        return -1;
    bool is_new = PQntuples(r) == 0;
    int64_t oldest = is_new ? 0 : db_i64(r, 0, 1);
    *newest = is_new ? 0 : db_i64(r, 0, 0);
    PQclear(r);
    if (*newest > SCHEMA_VERSION && oldest > SCHEMA_VERSION)
        return err_set(e, ERR_SCHEMA,
                       "the schema has version %lld, too new for this build, which has %d: use a "
                       "newer meterctl",
                       (long long)*newest, SCHEMA_VERSION);
    return 0;
}

/* Texts of any language are stored as they come, and keys are compared by their bytes. */
static int check_encoding(PGconn *conn, struct err *e)
{
    const char *encoding = PQparameterStatus(conn, "server_encoding");
    if (encoding && strcmp(encoding, "UTF8") == 0)
        return 0;
    return err_set(e, ERR_SCHEMA,
                   "the database %s has the encoding %s, and meterline needs UTF8: make another "
                   "with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0",
                   PQdb(conn), encoding ? encoding : "unknown");
}

/* What is already there. A database that was never migrated lacks even the tables that would
 * tell. */
struct there {
    bool no_migrations;
    bool no_functions;
    int64_t version;
};

static int look(PGconn *conn, struct there *t, struct err *e)
{
    *t = (struct there){0};
    PGresult *r = db_query(conn, SQL_FIND_SCHEMA_TABLES, 0, NULL, e);
    if (!r)
        return -1;
    t->no_migrations = *db_text(r, 0, 0) == 'f';
    t->no_functions = *db_text(r, 0, 1) == 'f';
    PQclear(r);
    return t->no_migrations ? 0 : check_newest(conn, &t->version, e);
}

static int prepare(PGconn *conn, struct err *e)
{
    if (db_run(conn, SQL_LOCK_MIGRATIONS, 0, NULL, NULL, e) ||
        db_run(conn, SQL_CREATE_SCHEMA_MIGRATIONS, 0, NULL, NULL, e))
        return -1;
    return db_run(conn, SQL_CREATE_SCHEMA_FUNCTIONS, 0, NULL, NULL, e);
}

/* In the transaction. Functions of a newer build stay: its tables need them. */
static int migrate(PGconn *conn, bool dry_run, struct err *e)
{
    struct there there;
    if ((dry_run ? db_script(conn, "SET TRANSACTION READ ONLY", e) : prepare(conn, e)) ||
        look(conn, &there, e))
        return -1;
    int migrations = apply_all(conn, there.no_migrations, dry_run, e);
    if (migrations < 0)
        return -1;
    int functions = 0;
    if (there.version > SCHEMA_VERSION)
        printf("functions are left to the newer build that was here\n");
    else if ((functions = functions_apply(conn, there.no_functions, dry_run, e)) < 0)
        return -1;
    long long version = there.version > SCHEMA_VERSION ? there.version : SCHEMA_VERSION;
    if (!dry_run)
        return db_script(conn, "COMMIT", e) ? -1 : printf("schema version %lld\n", version) < 0;
    if (migrations + functions == 0)
        printf("nothing to do: schema version %lld\n", version);
    else
        printf("nothing was changed: the schema is at version %lld, and %lld after `meterctl "
               "migrate`\n",
               (long long)there.version, version);
    return db_script(conn, "ROLLBACK", e);
}

static int run(PGconn *conn, bool dry_run)
{
    struct err e;
    struct err ignored;
    if (check_encoding(conn, &e) == 0 && db_script(conn, "BEGIN", &e) == 0) {
        if (migrate(conn, dry_run, &e) == 0)
            return CTL_DONE;
        db_script(conn, "ROLLBACK", &ignored);
    }
    bool denied = strcmp(e.sqlstate, "42501") == 0;
    return ctl_fail(CTL_FAILED, "%s%s", e.text,
                    denied ? "; run it as the login that migrated first, or as one that owns the "
                             "database and has CREATEROLE"
                           : "");
}

/* As the URL's own user, not in the role of meterctl. */
int migrate_run(const struct ctl_config *config, int argc, char **argv)
{
    struct err e;
    bool dry_run = false;
    const struct args_option options[] = {{"--dry-run", NULL, &dry_run}, {NULL, NULL, NULL}};
    if (args_parse_options(argc, argv, options))
        return CTL_USAGE;
    PGconn *conn = db_open(config->base.database_url, NULL, &e);
    if (!conn)
        return ctl_fail_err(CTL_FAILED, &e);
    int code = run(conn, dry_run);
    PQfinish(conn);
    return code;
}
