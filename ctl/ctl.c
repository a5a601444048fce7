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

int ctl_take_flag(int argc, char **argv, const char *flag, bool *given)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], flag) != 0)
            return ctl_fail(-1, "unknown argument: %s (see meterctl --help)", argv[i]);
        *given = true;
    }
    return 0;
}
