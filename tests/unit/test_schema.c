/* Does the database have the schema that this build knows? */
#include "common/contract.h"
#include "common/pg/schema.h"
#include "pg_session.h"

static void on_schema(void *owner, const struct err *error)
{
    struct session *s = owner;
    s->dones++;
    s->error = error ? *error : (struct err){0};
}

static void check_schema(struct session *s, enum err_kind kind, bool retry)
{
    schema_check(s->pg, on_schema, s);
    wait_done(s);
    assert_int_equal(s->error.kind, kind);
    assert_int_equal(s->error.retry, retry);
}

static void note_version(struct session *s, int version, int compatible_from)
{
    char sql[128];
    (void)snprintf(sql, sizeof sql, "insert into schema_migrations values (%d, 'n', 'c', %d)",
                   version, compatible_from);
    RUN(s, sql);
    assert_int_equal(s->error.kind, ERR_NONE);
}

static void a_schema_is_missing_old_right_or_too_new(void **state)
{
    /* Missing and old: wait. Newer: go on if it is marked as compatible with this build, else exit.
     */
    (void)state;
    struct session s;
    start_up(&s);
    RUN(&s, "drop table if exists schema_migrations", "drop role if exists test_reader",
        "create role test_reader");
    check_schema(&s, ERR_SCHEMA, true);
    RUN(&s, "create table schema_migrations (version int primary key, name text, checksum text,"
            " compatible_from int, applied_at timestamptz default now())");
    check_schema(&s, ERR_SCHEMA, true);
    note_version(&s, SCHEMA_VERSION - 1, SCHEMA_VERSION - 1);
    check_schema(&s, ERR_SCHEMA, true);
    note_version(&s, SCHEMA_VERSION, SCHEMA_VERSION);
    check_schema(&s, ERR_NONE, false);
    note_version(&s, SCHEMA_VERSION + 1, SCHEMA_VERSION);
    check_schema(&s, ERR_NONE, false);
    note_version(&s, SCHEMA_VERSION + 2, SCHEMA_VERSION + 1);
    check_schema(&s, ERR_SCHEMA, false);
    assert_true(pg_is_ready(s.pg));
    end(&s);

    start(&s, URL, "test_reader");
    run_until(&s.loop, &s.ups, 1);
    check_schema(&s, ERR_SCHEMA, true);
    assert_string_equal(s.error.text, "permission denied for table schema_migrations");
    SEND(&s, 5000, "select 1");
    wait_done(&s);
    reset_pg(&s);
    end(&s);

    start_up(&s);
    RUN(&s, "drop table schema_migrations");
    end(&s);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_schema_is_missing_old_right_or_too_new),
    };
    return run_with_server(tests);
}
