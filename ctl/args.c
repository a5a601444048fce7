#include "ctl/args.h"

#include "common/str.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/sql.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct args_option *find_option(const struct args_option *options, const char *word,
                                             size_t length)
{
    for (const struct args_option *o = options; o && o->name; o++)
        if (strlen(o->name) == length && memcmp(o->name, word, length) == 0)
            return o;
    return NULL;
}

bool args_wants_value(const char *usage, const char *option)
{
    size_t length = strlen(option);
    if (strncmp(option, "--", 2) != 0)
        return false;
    for (const char *at = strstr(usage, option); at; at = strstr(at + length, option))
        if (at[length] == ' ')
            return !strchr("[|-", at[length + 1]);
    return false;
}

/* Returns how many words it took, 1 or 2, or -1 after telling what is wrong. */
static int parse_option(int left, char **words, const struct args_option *options)
{
    const char *equals = strchr(words[0], '=');
    size_t length = equals ? (size_t)(equals - words[0]) : strlen(words[0]);
    const struct args_option *o = find_option(options, words[0], length);
    if (!o)
        return ctl_fail_argument(words[0]);
    if (o->flag && equals)
        return ctl_fail(-1, "%s takes no value", o->name);
    if (o->flag) {
        *o->flag = true;
        return 1;
    }
    if (!equals && left < 2)
        return ctl_fail(-1, "%s needs a value", o->name);
    *o->value = equals ? equals + 1 : words[1];
    if (str_has_control(*o->value, strlen(*o->value)))
        return ctl_fail(-1, "%s must not contain control characters", o->name);
    return equals ? 1 : 2;
}

int args_parse(int argc, char **argv, const struct args_option *options, int least, int most)
{
    int plain = 0;
    for (int i = 0; i < argc;) {
        if (argv[i][0] != '-' || argv[i][1] == '\0') {
            argv[plain++] = argv[i++];
            continue;
        }
        int words = parse_option(argc - i, argv + i, options);
        if (words < 0)
            return -1;
        i += words;
    }
    if (plain > most)
        return ctl_fail_argument(argv[most]);
    return plain < least ? ctl_fail_missing() : plain;
}

int args_parse_options(int argc, char **argv, const struct args_option *options)
{
    return args_parse(argc, argv, options, 0, 0);
}

int args_whole(const char *name, const char *text, int64_t min, int64_t max, int64_t *out)
{
    int64_t value;
    if (!text)
        return 0;
    if (str_to_i64(text, strlen(text), &value) || value < min || value > max)
        return ctl_fail(-1, "%s must be a whole number from %" PRId64 " to %" PRId64 ", not %s",
                        name, min, max, text);
    *out = value;
    return 0;
}

static int fail_time(const char *name, const char *text)
{
    return ctl_fail(CTL_USAGE,
                    "%s must be a date such as 2026-11-21, a time such as 2026-11-21T10:00Z, or an "
                    "age such as 36h or 7d, not %s",
                    name, text);
}

int args_time(PGconn *conn, const char *name, const char *text, char out[TIME_TEXT_SIZE])
{
    struct err e;
    out[0] = '\0';
    if (!text)
        return CTL_DONE;
    PGresult *r = db_query(conn, SQL_READ_TIME, 1, &text, &e);
    /* Class 22 is data that cannot be read: the operator's text. */
    if (!r)
        return strncmp(e.sqlstate, "22", 2) == 0 ? fail_time(name, text)
                                                 : ctl_fail(CTL_FAILED, "%s", e.text);
    bool known = PQntuples(r) > 0;
    if (known)
        snprintf(out, TIME_TEXT_SIZE, "%s", db_text(r, 0, 0));
    PQclear(r);
    return known ? CTL_DONE : fail_time(name, text);
}

int args_period(PGconn *conn, const char *text, char out[TIME_TEXT_SIZE])
{
    return args_time(conn, "--period", text && strcmp(text, "current") == 0 ? "now" : text, out);
}

const char *args_or_null(const char *text)
{
    return *text ? text : NULL;
}
