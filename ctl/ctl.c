#include "ctl/ctl.h"

#include "ctl/db.h"

#include <stdarg.h>
#include <stdio.h>

int ctl_fail(int code, const char *format, ...)
{
    va_list args;
    fflush(stdout);
    fputs(CTL_PROGRAM ": ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return code;
}

int ctl_fail_err(int code, const struct err *e)
{
    return ctl_fail(code, "%s%s", code == CTL_UNCHECKED ? "could not be checked: " : "", e->text);
}

int ctl_with_database(const struct ctl_config *config, int unreachable, ctl_work_fn work,
                      void *owner)
{
    struct err e;
    PGconn *conn = db_open(config->base.database_url, CTL_ROLE, &e);
    if (!conn)
        return ctl_fail_err(unreachable, &e);
    int code = work(conn, owner);
    PQfinish(conn);
    return code;
}

static const struct ctl_command *running; /* NULL: none was found yet */

void ctl_begin(const struct ctl_command *command)
{
    running = command;
}

int ctl_fail_argument(const char *word)
{
    const char *second = running->words[1];
    return ctl_fail(-1, "unknown argument: %s (see %s %s%s%s --help)", word, CTL_PROGRAM,
                    running->words[0], second ? " " : "", second ? second : "");
}

int ctl_fail_missing(void)
{
    const char *second = running->words[1];
    return ctl_fail(-1, "an argument is missing: %s %s%s%s %s", CTL_PROGRAM, running->words[0],
                    second ? " " : "", second ? second : "", running->arguments);
}
