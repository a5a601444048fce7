#include "common/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *or_abort(void *p)
{
    static const char message[] = "meterline: out of memory\n";
    if (p)
        return p;
    if (write(STDERR_FILENO, message, sizeof message - 1) < 0)
        abort();
    abort();
}

/* A size of 0 may give NULL from malloc, which is not a failure: ask for one byte instead. */
void *xmalloc(size_t size)
{
    return or_abort(malloc(size ? size : 1));
}

void *xcalloc(size_t count, size_t size)
{
    return or_abort(count && size ? calloc(count, size) : calloc(1, 1));
}

void *xrealloc(void *p, size_t size)
{
    return or_abort(realloc(p, size ? size : 1));
}

char *xstrdup(const char *s)
{
    return or_abort(strdup(s));
}

char *xstrndup(const char *s, size_t length)
{
    return or_abort(strndup(s, length));
}

char *xasprintf(const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int length = vasprintf(&text, format, args);
    va_end(args);
    return or_abort(length < 0 ? NULL : text);
}
