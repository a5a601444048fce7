#include "common/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *e, enum err_kind kind, const char *format, ...)
{
    /* The arguments may point into e->text, so it is written last. */
    struct err fresh = {.kind = kind,
                        .retry = kind == ERR_TIMEOUT || kind == ERR_CONNECT || kind == ERR_CLOSED};
    va_list args;
    va_start(args, format);
    vsnprintf(fresh.text, sizeof fresh.text, format, args);
    va_end(args);
    *e = fresh;
    return -1;
}

int err_wrap(struct err *e, const char *format, ...)
{
    char context[sizeof e->text];
    char text[2 * sizeof e->text + 2];
    va_list args;
    va_start(args, format);
    vsnprintf(context, sizeof context, format, args);
    va_end(args);
    snprintf(text, sizeof text, "%s: %s", context, e->text);
    memcpy(e->text, text, sizeof e->text - 1);
    e->text[sizeof e->text - 1] = '\0';
    return -1;
}

const char *err_kind_text(enum err_kind kind)
{
    switch (kind) {
#define X(kind, name, text)                                                                        \
    case kind:                                                                                     \
        return text;
        ERR_KINDS(X)
#undef X
    }
    return "unknown error";
}

const char *err_kind_name(enum err_kind kind)
{
    switch (kind) {
#define X(kind, name, text)                                                                        \
    case kind:                                                                                     \
        return name;
        ERR_KINDS(X)
#undef X
    }
    return "unknown";
}
