/* The arguments of a command: options with a value, flags, and plain words. */
#ifndef METERLINE_CTL_ARGS_H
#define METERLINE_CTL_ARGS_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

enum { TIME_TEXT_SIZE = 40 };

/* Either value or flag is set. */
struct args_option {
    const char *name;   /* "--tenant"; NULL ends the table */
    const char **value; /* "--tenant acme" or "--tenant=acme", whatever the value looks like;
                         * borrowed from argv */
    bool *flag;         /* "--all" */
};

/* Whether an option, such as "--tenant", takes a value, by the usage line of its command. */
bool args_wants_value(const char *usage, const char *option);

/* Read the options (NULL: there are none), in any order; the plain words move to the front of argv.
 * There must be least to most of those. Returns how many there are, or -1 after telling what is
 * wrong. */
int args_parse(int argc, char **argv, const struct args_option *options, int least, int most);

/* The same for a command that takes options alone. Returns 0, or -1 after telling. */
int args_parse_options(int argc, char **argv, const struct args_option *options);

/* A whole number within bounds; text NULL leaves *out as it is. Returns 0, or -1 after telling. */
int args_whole(const char *name, const char *text, int64_t min, int64_t max, int64_t *out);

/* A point in time as PostgreSQL reads it (UTC where no zone is given), or an age such as 90m, 36h,
 * 7d. text NULL gives out "". Returns CTL_DONE, or the exit code after telling. */
int args_time(PGconn *conn, const char *name, const char *text, char out[TIME_TEXT_SIZE]);

/* The same for --period: a point in time within a billing period, or `current`. */
int args_period(PGconn *conn, const char *text, char out[TIME_TEXT_SIZE]);

/* NULL, which is SQL NULL, for "". */
const char *args_or_null(const char *text);

#endif
