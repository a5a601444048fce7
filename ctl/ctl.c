#include "ctl/ctl.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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

static const struct ctl_command *running; /* NULL: none was found yet */

void ctl_begin(const struct ctl_command *command)
{
    running = command;
}

int ctl_fail_argument(const char *word)
{
    const char *first = running ? running->words[0] : "";
    const char *second = running ? running->words[1] : NULL;

    return ctl_fail(-1, "unknown argument: %s (see %s%s%s%s%s --help)", word, CTL_PROGRAM,
                    *first ? " " : "", first, second ? " " : "", second ? second : "");
}

int ctl_take_flag(int argc, char **argv, const char *flag, bool *given)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], flag) != 0)
            return ctl_fail_argument(argv[i]);
        *given = true;
    }
    return 0;
}
