/* Lost entries.
 *
 * meterctl lost list and accept: entries that Redis or PostgreSQL lost, and that nobody has any
 * more. They stay in the balance. A person notes to know of them, and the audit asks no more.
 *
 * meterctl stream lost: entries that somebody removed from a stream before they were counted
 * (XTRIM, XDEL, XADD with MAXLEN) are booked as lost, so that the books balance again. Redis tells
 * how many were ever added and how many wait, so the rest of the balance is what was removed. With
 * --yes the stream's lease is taken first: nobody counts while it is looked at, and the aggregator
 * goes on with the new balance. */
#include "common/redis/redis.h"
#include "ctl/args.h"
#include "ctl/audit/audit.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/report.h"
#include "ctl/sql.h"
#include "ctl/streams/stream_lease.h"
#include "ctl/terminal/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { REDIS_TIMEOUT_MS = 10000 };

static const struct table_column COLUMNS[] = {
    {"stream", TABLE_NAME},      {"epoch", TABLE_NUMBER},     {"reason", TABLE_NOTE},
    {"until", TABLE_TEXT},       {"lost", TABLE_NUMBER},      {"accepted", TABLE_NUMBER},
    {"accepted_at", TABLE_TEXT}, {"accepted_by", TABLE_NAME}, {NULL, TABLE_TEXT}};

static int64_t number_of(const json_t *finding, const char *name)
{
    return json_integer_value(json_object_get(finding, name));
}

static int list(PGconn *conn, void *owner)
{
    const bool *json = owner;
    json_t *rows = json_array();
    struct err e;
    int code = CTL_DONE;
    if (report_query(rows, conn, SQL_LIST_LOST, 0, NULL, &e))
        code = ctl_fail_err(CTL_FAILED, &e);
    else
        table_show(rows, *json,
                   (struct table_view){"lost entries", "nothing was lost", COLUMNS, false});
    json_decref(rows);
    return code;
}

int lost_list_run(const struct ctl_config *config, int argc, char **argv)
{
    bool json = false;
    const struct args_option options[] = {{"--json", NULL, &json}, {NULL, NULL, NULL}};
    return args_parse_options(argc, argv, options)
               ? CTL_USAGE
               : ctl_with_database(config, CTL_FAILED, list, &json);
}

/* Without --yes: print what is left to accept. */
static int print_open(const json_t *rows)
{
    int open = 0;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        if (number_of(row, "lost") <= number_of(row, "accepted"))
            continue;
        report_print_line("lost", row);
        open++;
    }
    return open;
}

static int run_accept(PGconn *conn, void *owner)
{
    const bool *yes = owner;
    json_t *rows = json_array();
    struct err e;
    int code = CTL_DONE;
    if (report_query(rows, conn, *yes ? SQL_ACCEPT_LOST : SQL_LIST_LOST, 0, NULL, &e))
        code = ctl_fail_err(CTL_FAILED, &e);
    else if (*yes && json_array_size(rows) > 0)
        report_print_lines("accepted", rows);
    else if (!*yes && print_open(rows) > 0)
        code = ctl_fail(CTL_FAILED,
                        "nothing was accepted: run it again with --yes to accept these losses");
    else
        puts("nothing to accept");
    json_decref(rows);
    return code;
}

int lost_accept_run(const struct ctl_config *config, int argc, char **argv)
{
    bool yes = false;
    const struct args_option options[] = {{"--yes", NULL, &yes}, {NULL, NULL, NULL}};
    return args_parse_options(argc, argv, options)
               ? CTL_USAGE
               : ctl_with_database(config, CTL_FAILED, run_accept, &yes);
}

/* meterctl stream lost. */

struct removal {
    const struct ctl_config *config;
    bool yes;
    PGconn *conn;
    char owner[LEASE_OWNER_SIZE];
    const char *stream;
    int64_t removed; /* of all streams */
    bool above;      /* a stream has fewer than are accounted for: that is no loss */
};

/* If PostgreSQL lost commits, or Redis lost data, then entries are missing that nobody removed.
 * An aggregator finds that when it opens the stream, and logs it. */
static int check_group(const struct removal *r, redisContext *redis, struct err *e)
{
    struct stream_group group;
    /* The group first: it never goes past what is committed. */
    if (stream_group_read(redis, r->stream, &group, e))
        return -1;
    PGresult *position = db_query(r->conn, SQL_LOST_POSITION, 1, &r->stream, e);
    if (!position)
        return err_wrap(e, "postgres");
    bool fits = group.marked && strcmp(group.mark.token, db_text(position, 0, 1)) == 0 &&
                entry_id_compare(group.last_id, db_text(position, 0, 0)) <= 0;
    PQclear(position);
    if (fits)
        return 0;
    return err_set(e, ERR_REFUSED,
                   "the stream does not match what PostgreSQL knows of it: start an aggregator, "
                   "which opens the stream and logs what is wrong");
}

/* NULL with e. */
static json_t *read_balance(const struct removal *r, struct err *e)
{
    redisContext *redis =
        redis_connect_blocking_at(r->config->base.redis_url, r->stream, REDIS_TIMEOUT_MS, NULL, e);
    json_t *balance = redis ? audit_stream(r->conn, redis, r->stream, e) : NULL;
    if (balance && number_of(balance, "difference") > 0 && check_group(r, redis, e)) {
        json_decref(balance);
        balance = NULL;
    }
    redisFree(redis);
    return balance;
}

static int book(struct removal *r, const json_t *balance, struct err *e)
{
    char epoch[16];
    char removed[24];
    char lost[24];
    const char *values[] = {r->stream, r->owner, epoch, removed, lost};
    int64_t booked;
    snprintf(epoch, sizeof epoch, "%" PRId64, number_of(balance, "epoch"));
    snprintf(removed, sizeof removed, "%" PRId64, number_of(balance, "difference"));
    snprintf(lost, sizeof lost, "%" PRId64, number_of(balance, "lost"));
    if (db_run(r->conn, SQL_LOST_BOOK, 5, values, &booked, e))
        return err_wrap(e, "postgres");
    if (booked == 0)
        return err_set(e, ERR_FENCED,
                       "an aggregator took the stream back before the loss was booked: nothing was "
                       "changed, try again");
    printf("stream=%s epoch=%s booked lost=%s\n", r->stream, epoch, removed);
    return 0;
}

/* One stream: print or book what was removed from it. */
static int look(struct removal *r, struct err *e)
{
    json_t *balance = read_balance(r, e);
    int result = 0;
    if (!balance)
        return -1;
    int64_t difference = number_of(balance, "difference");
    r->above |= difference < 0;
    if (difference > 0) {
        r->removed += difference;
        if (r->yes)
            result = book(r, balance, e);
        else
            printf("stream=%s epoch=%" PRId64 " removed=%" PRId64 "\n", r->stream,
                   number_of(balance, "epoch"), difference);
    }
    json_decref(balance);
    return result;
}

static int look_leased(struct removal *r, struct err *e)
{
    const char *values[] = {r->stream, r->owner, STREAM_LEASE_S};
    struct err ignored;
    if (db_run(r->conn, SQL_LOST_BEGIN, 3, values, NULL, e))
        return err_wrap(e, "postgres");
    int result = look(r, e);
    int released = db_run(r->conn, SQL_LOST_END, 2, values, NULL, result ? &ignored : e);
    return result ? result : released;
}

static int look_at_all(struct removal *r, const PGresult *streams, struct err *e)
{
    for (int i = 0; i < PQntuples(streams); i++) {
        r->stream = db_text(streams, i, 0);
        if ((r->yes ? look_leased : look)(r, e))
            return err_wrap(e, "%s", r->stream);
    }
    return 0;
}

static int tell_result(const struct removal *r)
{
    if (r->above)
        return ctl_fail(CTL_FAILED, "a stream had fewer entries than are accounted for, which is "
                                    "no loss: see `meterctl audit`");
    if (r->removed == 0)
        puts("no entries were removed before they were counted");
    if (r->removed > 0 && !r->yes)
        return ctl_fail(CTL_FAILED, "nothing was booked. Somebody removed these entries before "
                                    "they were counted (XTRIM, XDEL, or XADD with MAXLEN): find "
                                    "out who, then run this again with --yes to book them as lost");
    return CTL_DONE;
}

static int run_removal(PGconn *conn, void *owner)
{
    struct removal *r = owner;
    struct err e;
    r->conn = conn;
    PGresult *streams = db_query(conn, SQL_LIST_STREAMS, 0, NULL, &e);
    int failed = !streams || look_at_all(r, streams, &e);
    PQclear(streams);
    return failed ? ctl_fail_err(CTL_FAILED, &e) : tell_result(r);
}

int stream_lost_run(const struct ctl_config *config, int argc, char **argv)
{
    struct removal r = {.config = config};
    const struct args_option options[] = {{"--yes", NULL, &r.yes}, {NULL, NULL, NULL}};
    if (args_parse_options(argc, argv, options))
        return CTL_USAGE;
    lease_owner_name(CTL_PROGRAM, r.owner);
    return ctl_with_database(config, CTL_FAILED, run_removal, &r);
}
