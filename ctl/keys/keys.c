/* meterctl keys: who may call the API. A key is shown once, when it is made; PostgreSQL has a hash
 * of it. The API looks twice a second, so that a key that was revoked stops within one. */
#include "common/api_key.h"
#include "common/str.h"
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/names.h"
#include "ctl/report.h"
#include "ctl/sql.h"
#include "ctl/terminal/table.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { NAME_MAX_BYTES = 64, NUMBER_SIZE = 24, HASH_TEXT_SIZE = 2 * API_KEY_HASH_BYTES + 3 };
static const int64_t EXPIRES_MAX_S = 3650LL * 86400;

static const struct table_column COLUMNS[] = {
    {"key_id", TABLE_NAME},     {"name", TABLE_NAME},       {"role", TABLE_TEXT},
    {"tenant", TABLE_NAME},     {"state", TABLE_TEXT},      {"created_at", TABLE_TEXT},
    {"created_by", TABLE_NAME}, {"expires_at", TABLE_TEXT}, {"revoked_at", TABLE_TEXT},
    {NULL, TABLE_TEXT}};

struct create {
    const char *name, *role, *tenant, *expires;
    bool json, is_new;
    int64_t expires_s; /* 0: never */
};

/* Such as 90d, 12h, 30m. Returns 0, or -1 after telling. */
static int parse_expires(struct create *c)
{
    const char *text = c->expires;
    size_t length = text ? strlen(text) : 0;
    if (!text || strcmp(text, "never") == 0)
        return 0;
    int64_t unit_s = length < 2                ? 0
                     : text[length - 1] == 'd' ? 86400
                     : text[length - 1] == 'h' ? 3600
                     : text[length - 1] == 'm' ? 60
                                               : 0;
    int64_t n;
    if (unit_s && str_to_i64(text, length - 1, &n) == 0 && n >= 1 && n <= EXPIRES_MAX_S / unit_s) {
        c->expires_s = n * unit_s;
        return 0;
    }
    return ctl_fail(-1,
                    "--expires must be a time from now such as 90d, 12h or 30m, at most 3650d, or "
                    "never; not %s",
                    text);
}

static int check_create(struct create *c)
{
    size_t length = strlen(c->name);
    if (length < 1 || length > NAME_MAX_BYTES || !str_is_utf8(c->name, length) ||
        str_has_control(c->name, length))
        return ctl_fail(-1, "a key's name must have 1 to %d bytes of UTF-8", NAME_MAX_BYTES);
    if (!c->role || (strcmp(c->role, "viewer") != 0 && strcmp(c->role, "editor") != 0 &&
                     strcmp(c->role, "admin") != 0))
        return ctl_fail(-1, "--role is required: viewer, editor or admin");
    return parse_expires(c);
}

static void tell_key(const struct create *c, const char *key, PGresult *r)
{
    if (c->json) {
        json_t *told = json_pack("{s:s,s:s,s:s,s:s,s:s?,s:s?}", "key", key, "key_id",
                                 db_text(r, 0, 0), "name", c->name, "role", c->role, "tenant",
                                 c->tenant, "expires_at", db_text(r, 0, 4));
        report_print_json(told);
        json_decref(told);
        return;
    }
    printf("%s\n", key);
    fprintf(stderr, "(this is the key of %s, %s; it is not shown again)\n", c->name,
            db_text(r, 0, 0));
}

static int create(PGconn *conn, void *owner)
{
    const struct create *c = owner;
    char key[API_KEY_TEXT_SIZE];
    unsigned char hash[API_KEY_HASH_BYTES];
    char hex[HASH_TEXT_SIZE] = "\\x";
    char seconds[NUMBER_SIZE];
    struct err e;
    int code = names_check(conn, c->is_new ? NULL : c->tenant, NULL, CTL_FAILED);
    if (code != CTL_DONE)
        return ctl_fail(code, "add --new to make a key for a tenant that is still to come");
    api_key_make(API_KEY_PREFIX, key);
    api_key_hash(key, hash);
    sodium_bin2hex(hex + 2, sizeof hex - 2, hash, sizeof hash);
    snprintf(seconds, sizeof seconds, "%" PRId64, c->expires_s);
    const char *values[] = {c->name, hex, c->role, c->tenant, c->expires_s ? seconds : NULL};
    PGresult *r = db_query(conn, SQL_ADD_KEY, 5, values, &e);
    if (!r)
        code = ctl_fail_err(CTL_FAILED, &e);
    else if (PQntuples(r) == 0)
        code =
            ctl_fail(CTL_FAILED,
                     "there is a key called %s already: revoke it, or take another name", c->name);
    else
        tell_key(c, key, r);
    PQclear(r);
    sodium_memzero(key, sizeof key);
    return code;
}

int keys_create_run(const struct ctl_config *config, int argc, char **argv)
{
    struct create c = {0};
    const struct args_option options[] = {
        {"--role", &c.role, NULL},  {"--tenant", &c.tenant, NULL}, {"--expires", &c.expires, NULL},
        {"--new", NULL, &c.is_new}, {"--json", NULL, &c.json},     {NULL, NULL, NULL}};
    if (args_parse(argc, argv, options, 1, 1) < 0)
        return CTL_USAGE;
    c.name = argv[0];
    return check_create(&c) ? CTL_USAGE : ctl_with_database(config, CTL_FAILED, create, &c);
}

struct list {
    bool all, json, wide;
};

static int list(PGconn *conn, void *owner)
{
    const struct list *l = owner;
    const char *all = l->all ? "true" : "false";
    struct err e;
    int code = CTL_DONE;
    json_t *rows = json_array();
    if (report_query(rows, conn, SQL_LIST_KEYS, 1, &all, &e))
        code = ctl_fail_err(CTL_FAILED, &e);
    else
        table_show(rows, l->json,
                   (struct table_view){"keys of the API", "there are none: meterctl keys create",
                                       COLUMNS, l->wide});
    json_decref(rows);
    return code;
}

int keys_list_run(const struct ctl_config *config, int argc, char **argv)
{
    struct list l = {0};
    const struct args_option options[] = {{"--all", NULL, &l.all},
                                          {"--json", NULL, &l.json},
                                          {"--wide", NULL, &l.wide},
                                          {NULL, NULL, NULL}};
    if (args_parse_options(argc, argv, options))
        return CTL_USAGE;
    return ctl_with_database(config, CTL_FAILED, list, &l);
}

static int revoke(PGconn *conn, void *owner)
{
    const char *which = owner;
    struct err e;
    int code = CTL_DONE;
    PGresult *r = db_query(conn, SQL_REVOKE_KEY, 1, &which, &e);
    if (!r)
        code = ctl_fail_err(CTL_FAILED, &e);
    else if (PQntuples(r) == 0)
        code = ctl_fail(
            CTL_FAILED,
            "there is no key %s, or it was revoked before; see meterctl keys list --all", which);
    else
        printf("revoked %s (%s): it stops within a second\n", db_text(r, 0, 1), db_text(r, 0, 0));
    PQclear(r);
    return code;
}

int keys_revoke_run(const struct ctl_config *config, int argc, char **argv)
{
    if (args_parse(argc, argv, NULL, 1, 1) < 0)
        return CTL_USAGE;
    return ctl_with_database(config, CTL_FAILED, revoke, argv[0]);
}
