/* meterctl migrate: bring the schema to this build's version.
 *
 * Each migration is one transaction that first takes a lock and then looks whether it was applied,
 * so that two runs at once give the same as one. The lock belongs to the transaction, not to the
 * session: that works behind a pooler too. Runs as the URL's own user, who will own the tables. */
#include "common/contract.h"
#include "common/pg.h"
#include "common/sql.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/sql.h"

#include <sodium.h>
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

enum { CHECKSUM_SIZE = crypto_hash_sha256_BYTES * 2 + 1 };

static void checksum_of(const char *text, char out[CHECKSUM_SIZE])
{
    unsigned char hash[crypto_hash_sha256_BYTES];

    crypto_hash_sha256(hash, (const unsigned char *)text, strlen(text));
    sodium_bin2hex(out, CHECKSUM_SIZE, hash, sizeof hash);
}

/* The first line may be a comment `-- compatible-from: N`. */
static int compatible_from(const struct migration *m)
{
    int oldest = 0;

    return sscanf(m->text, "-- compatible-from: %d", &oldest) == 1 ? oldest : m->version;
}

static int apply_text(PGconn *conn, const struct migration *m, const char *checksum, struct err *e)
{
    char version[16];
    char oldest[16];
    const char *values[] = {version, m->name, checksum, oldest};

    snprintf(version, sizeof version, "%d", m->version);
    snprintf(oldest, sizeof oldest, "%d", compatible_from(m));
    if (db_script(conn, m->text, e))
        return -1;
    return db_run(conn, SQL_NOTE_MIGRATION, 4, values, NULL, e);
}

/* Inside the transaction and under the lock. *applied: it was not there before. */
static int apply_missing(PGconn *conn, const struct migration *m, bool *applied, struct err *e)
{
    char checksum[CHECKSUM_SIZE];
    char version[16];
    const char *value = version;

    checksum_of(m->text, checksum);
    snprintf(version, sizeof version, "%d", m->version);
    PGresult *known = db_query(conn, SQL_READ_MIGRATION, 1, &value, e);
    if (!known)
        return -1;
    *applied = PQntuples(known) == 0;
    bool changed = !*applied && strcmp(db_text(known, 0, 0), checksum) != 0;
    PQclear(known);
    if (changed)
        return err_set(e, ERR_SCHEMA, "its text has changed since it was applied to this database");
    return *applied ? apply_text(conn, m, checksum, e) : 0;
}

static int migrate_one(PGconn *conn, const struct migration *m, struct err *e)
{
    bool applied = false;

    if (db_script(conn, "BEGIN", e) || db_run(conn, SQL_LOCK_MIGRATIONS, 0, NULL, NULL, e) ||
        db_run(conn, SQL_CREATE_SCHEMA_MIGRATIONS, 0, NULL, NULL, e) ||
        apply_missing(conn, m, &applied, e) || db_script(conn, "COMMIT", e)) {
        struct err ignored;
        db_script(conn, "ROLLBACK", &ignored);
        return err_wrap(e, "migration %s", m->name);
    }
    printf("%s %s\n", m->name, applied ? "applied" : "is applied already");
    return 0;
}

/* A newer build may have been here before us. */
static int check_newest(PGconn *conn, struct err *e)
{
    PGresult *newest = db_query(conn, SQL_READ_SCHEMA, 0, NULL, e);
    if (!newest)
        return -1;
    int64_t version = db_i64(newest, 0, 0);
    int64_t oldest = db_i64(newest, 0, 1);
    PQclear(newest);
    printf("schema version %lld\n", (long long)version);
    if (version > SCHEMA_VERSION && oldest > SCHEMA_VERSION)
        return err_set(e, ERR_SCHEMA, "the schema is at version %lld, too new for this build (%d)",
                       (long long)version, SCHEMA_VERSION);
    return 0;
}

/* Texts of any language are stored as they come, and some of ours are compared by their bytes. */
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

static int migrate_all(PGconn *conn, struct err *e)
{
    if (check_encoding(conn, e))
        return -1;
    for (size_t i = 0; i < sizeof MIGRATIONS / sizeof MIGRATIONS[0]; i++)
        if (migrate_one(conn, &MIGRATIONS[i], e))
            return -1;
    return check_newest(conn, e);
}

int migrate_run(const struct ctl_config *config, int argc, char **argv)
{
    struct err e;

    if (argc > 0)
        return ctl_fail(CTL_USAGE, "unknown argument: %s (see meterctl migrate --help)", argv[0]);
    PGconn *conn = db_open(config->base.database_url, NULL, &e);
    if (!conn)
        return ctl_fail(CTL_FAILED, "%s", e.text);
    int result = migrate_all(conn, &e);
    PQfinish(conn);
    if (result && strcmp(e.sqlstate, "42501") == 0)
        return ctl_fail(CTL_FAILED,
                        "%s; run it as the login that migrated first, or as one that owns the "
                        "database and may make roles",
                        e.text);
    return result ? ctl_fail(CTL_FAILED, "%s", e.text) : CTL_DONE;
}
