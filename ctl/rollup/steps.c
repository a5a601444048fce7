/* meterctl activation import: steps that tenants took, from CSV. All lines are taken, or none. */
#include "ctl/rollup/steps.h"

#include "common/err.h"
#include "common/str.h"
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/sql.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEP_MAX = 64, STEPS_MAX = 20, TENANT_MAX = 128, PAGE_ROWS = 1000, FAULTS_SHOWN = 10 };

static bool is_step(const char *text, size_t length)
{
    static const char CHARS[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
    return length > 0 && length <= STEP_MAX && strspn(text, CHARS) >= length;
}

char *steps_parse(const char *text)
{
    json_t *list = json_array();
    char *out = NULL;
    for (const char *at = text; at;) {
        size_t length = strcspn(at, ",");
        if (!is_step(at, length) || json_array_size(list) == STEPS_MAX)
            break;
        json_array_append_new(list, json_stringn(at, length));
        at = at[length] ? at + length + 1 : NULL;
        if (!at)
            out = json_dumps(list, JSON_COMPACT);
    }
    json_decref(list);
    if (!out)
        ctl_fail(-1, "--steps must be up to %d names such as %s, not %s", STEPS_MAX, STEPS_DEFAULT,
                 text);
    return out;
}

struct import {
    const char *name; /* of the file, for texts */
    FILE *in;
    PGconn *conn;
    json_t *page; /* lines that are not written yet */
    int64_t number, rows, faults;
};

static void tell_fault(struct import *i, const char *what)
{
    if (i->faults++ < FAULTS_SHOWN)
        fprintf(stderr, "%s:%" PRId64 ": %s\n", i->name, i->number, what);
}

static int write_page(struct import *i, struct err *e)
{
    char *text = json_dumps(i->page, JSON_COMPACT);
    const char *values[] = {text};
    int failed = db_run(i->conn, SQL_ADD_PRODUCT_EVENTS, 1, values, NULL, e);
    free(text);
    json_array_clear(i->page);
    return failed;
}

/* One field: bare, or in quotes, which are doubled within. Moves *at behind it and its comma. */
static bool next_field(char **at, struct buf *field)
{
    char *p = *at;
    buf_clear(field);
    if (*p == '"') {
        for (p++; *p && (*p != '"' || p[1] == '"'); p++) {
            p += *p == '"';
            buf_add(field, p, 1);
        }
        if (*p++ != '"')
            return false;
    } else {
        size_t length = strcspn(p, ",\"");
        buf_add(field, p, length);
        p += length;
    }
    if (*p != '\0' && *p != ',')
        return false;
    *at = *p ? p + 1 : NULL;
    return true;
}

/* A day or a time in UTC, as ISO 8601 writes it; whether there is such a day, PostgreSQL says. */
static bool is_time(const char *text)
{
    static const char SHAPE[] = "0000-00-00T00:00:00Z";
    size_t n = strlen(text);
    if (n != strlen("0000-00-00") && n != strlen("0000-00-00T00:00Z") && n != strlen(SHAPE))
        return false;
    for (size_t i = 0; i < n; i++) {
        bool last = i + 1 == n && n > strlen("0000-00-00");
        bool digit = text[i] >= '0' && text[i] <= '9';
        if (last ? text[i] != 'Z' : SHAPE[i] == '0' ? !digit : text[i] != SHAPE[i])
            return false;
    }
    return true;
}

static void read_line(struct import *i, char *line)
{
    enum { TENANT, STEP, TIME, FIELDS };
    struct buf fields[FIELDS] = {{0}};
    char *at = line;
    int n = 0;
    while (n < FIELDS && at && next_field(&at, &fields[n]))
        n++;
    if (n < FIELDS || at)
        tell_fault(i, "must be tenant,step,time");
    else if (fields[TENANT].length == 0 || fields[TENANT].length > TENANT_MAX ||
             !str_is_utf8(fields[TENANT].data, fields[TENANT].length))
        tell_fault(i, "the tenant must have 1 to 128 bytes of UTF-8");
    else if (!is_step(fields[STEP].data, fields[STEP].length))
        tell_fault(i, "the step must be 1 to 64 of a-z, 0-9 and _");
    else if (fields[TIME].length == 0 || !is_time(fields[TIME].data))
        tell_fault(i, "the time must be such as 2026-11-21 or 2026-11-21T10:00:00Z");
    else
        json_array_append_new(
            i->page, json_pack("[sss]", fields[TENANT].data, fields[STEP].data, fields[TIME].data));
    for (int f = 0; f < FIELDS; f++)
        buf_done(&fields[f]);
}

static int import(PGconn *conn, void *owner, struct err *e)
{
    struct import *i = owner;
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    int failed = 0;
    i->conn = conn;
    while (!failed && (length = getline(&line, &size, i->in)) >= 0) {
        while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r'))
            line[--length] = '\0';
        i->number++;
        if (length == 0 || (i->number == 1 && strcmp(line, "tenant,step,time") == 0))
            continue;
        i->rows++;
        if (strlen(line) != (size_t)length)
            tell_fault(i, "a NUL is no text");
        else
            read_line(i, line);
        if (json_array_size(i->page) == PAGE_ROWS)
            failed = write_page(i, e);
    }
    free(line);
    if (!failed && ferror(i->in))
        return err_set(e, ERR_IO, "%s: %s", i->name, strerror(errno));
    if (!failed)
        failed = write_page(i, e);
    if (!failed && i->faults > 0)
        return err_set(e, ERR_INPUT,
                       "nothing was imported: %" PRId64 " of %" PRId64 " lines cannot be read",
                       i->faults, i->rows);
    return failed;
}

static int run(PGconn *conn, void *owner)
{
    struct import *i = owner;
    struct err e;
    if (db_transaction(conn, import, i, &e))
        return ctl_fail_err(CTL_FAILED, &e);
    printf("imported %" PRId64 " lines\n", i->rows);
    return CTL_DONE;
}

int activation_import_run(const struct ctl_config *config, int argc, char **argv)
{
    if (args_parse(argc, argv, NULL, 1, 1) < 0)
        return CTL_USAGE;
    bool is_stdin = strcmp(argv[0], "-") == 0;
    struct import i = {.name = is_stdin ? "standard input" : argv[0],
                       .in = is_stdin ? stdin : fopen(argv[0], "r"),
                       .page = json_array()};
    int code = i.in ? ctl_with_database(config, CTL_FAILED, run, &i)
                    : ctl_fail(CTL_FAILED, "%s: %s", argv[0], strerror(errno));
    if (i.in && !is_stdin)
        fclose(i.in);
    json_decref(i.page);
    return code;
}
