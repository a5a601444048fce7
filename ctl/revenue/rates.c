/* meterctl rates: what currencies are worth, for sums of several of them. A rate holds from its
 * time until the next one. */
#include "ctl/revenue/rates.h"

#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/report.h"
#include "ctl/sql.h"
#include "ctl/terminal/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { BEFORE_POINT = 9, BEHIND_POINT = 12 };

static const struct table_column COLUMNS[] = {
    {"currency", TABLE_TEXT},   {"in", TABLE_TEXT},         {"rate", TABLE_NUMBER},
    {"valid_from", TABLE_TEXT}, {"updated_at", TABLE_TEXT}, {NULL, TABLE_TEXT}};

int rates_check_currency(const char *name, const char *text)
{
    static const char LETTERS[] = "abcdefghijklmnopqrstuvwxyz";
    if (!text || (strlen(text) == 3 && strspn(text, LETTERS) == 3))
        return 0;
    return ctl_fail(-1, "%s must be a currency in small letters, such as usd, not %s", name, text);
}

struct list {
    bool all, json, wide;
};

static int list(PGconn *conn, void *owner)
{
    const struct list *l = owner;
    const char *all = l->all ? "true" : "false";
    const struct table_view view = {l->all ? "exchange rates, newest first"
                                           : "exchange rates that hold now",
                                    "no exchange rates are set", COLUMNS, l->wide};
    json_t *rows = json_array();
    struct err e;
    int code = CTL_DONE;
    if (report_query(rows, conn, SQL_LIST_RATES, 1, &all, &e))
        code = ctl_fail_err(CTL_FAILED, &e);
    else
        table_show(rows, l->json, view);
    json_decref(rows);
    return code;
}

int rates_list_run(const struct ctl_config *config, int argc, char **argv)
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

/* A change. */

struct change {
    const char *currency, *reporting;
    const char *rate; /* NULL: it is unset */
    const char *from;
};

static int check_rate(const char *text)
{
    static const char DIGITS[] = "0123456789";
    size_t before = strspn(text, DIGITS);
    const char *rest = text + before;
    size_t behind = *rest == '.' ? strspn(rest + 1, DIGITS) : 0;
    bool whole = *rest == '\0' || (behind > 0 && rest[1 + behind] == '\0');
    if (before > 0 && before <= BEFORE_POINT && behind <= BEHIND_POINT && whole &&
        text[strspn(text, "0.")])
        return 0;
    return ctl_fail(-1,
                    "RATE must be a number above 0 of up to %d digits, and up to %d behind a "
                    "point, such as 1.0825, not %s",
                    BEFORE_POINT, BEHIND_POINT, text);
}

static int write_change(PGconn *conn, void *owner)
{
    const struct change *c = owner;
    char from[TIME_TEXT_SIZE];
    struct err e;
    int64_t rows;
    int code = args_time(conn, "--from", c->from, from);
    if (code != CTL_DONE)
        return code;
    const char *set[] = {c->currency, c->reporting, c->rate, args_or_null(from)};
    const char *unset[] = {c->currency, c->reporting, from};
    if (c->rate ? db_run(conn, SQL_SET_RATE, 4, set, &rows, &e)
                : db_run(conn, SQL_UNSET_RATE, 3, unset, &rows, &e))
        return ctl_fail_err(CTL_FAILED, &e);
    if (rows == 0)
        return ctl_fail(CTL_FAILED,
                        "no rate of %s in %s begins at %s (see meterctl rates list --all)",
                        c->currency, c->reporting, c->from);
    return CTL_DONE;
}

static int check_change(const struct change *c)
{
    if (rates_check_currency("CURRENCY", c->currency) || rates_check_currency("IN", c->reporting))
        return -1;
    if (strcmp(c->currency, c->reporting) == 0)
        return ctl_fail(-1, "one %s is always worth one %s", c->currency, c->reporting);
    return c->rate ? check_rate(c->rate) : 0;
}

static int change(const struct ctl_config *config, int argc, char **argv, bool is_set)
{
    struct change c = {0};
    const struct args_option options[] = {{"--from", &c.from, NULL}, {NULL, NULL, NULL}};
    int words = is_set ? 3 : 2;
    if (args_parse(argc, argv, options, words, words) < 0)
        return CTL_USAGE;
    c.currency = argv[0];
    c.reporting = argv[1];
    c.rate = is_set ? argv[2] : NULL;
    if (!is_set && !c.from) {
        ctl_fail(-1, "--from is required, to say which one");
        return CTL_USAGE;
    }
    return check_change(&c) ? CTL_USAGE : ctl_with_database(config, CTL_FAILED, write_change, &c);
}

int rates_set_run(const struct ctl_config *config, int argc, char **argv)
{
    return change(config, argc, argv, true);
}

int rates_unset_run(const struct ctl_config *config, int argc, char **argv)
{
    return change(config, argc, argv, false);
}
