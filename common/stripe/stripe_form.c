#include "common/stripe/stripe_form.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Brackets may stand as they are. */
static void add_key(struct buf *b, const char *key)
{
    for (const char *at = key; *at; at++)
        if (*at == '[' || *at == ']')
            buf_add_char(b, *at);
        else
            buf_add_urlencoded(b, at, 1);
}

__attribute__((format(printf, 3, 0))) static void add(struct stripe_form *f, const char *value,
                                                      const char *key, va_list args)
{
    char *made = NULL;
    if (vasprintf(&made, key, args) < 0)
        abort();
    if (f->body.length > 0)
        buf_add_char(&f->body, '&');
    add_key(&f->body, made);
    buf_add_char(&f->body, '=');
    buf_add_urlencoded(&f->body, value, strlen(value));
    free(made);
}

void stripe_form_text(struct stripe_form *f, const char *value, const char *key, ...)
{
    va_list args;
    if (!value)
        return;
    va_start(args, key);
    add(f, value, key, args);
    va_end(args);
}

void stripe_form_i64(struct stripe_form *f, int64_t value, const char *key, ...)
{
    char text[24];
    va_list args;
    (void)snprintf(text, sizeof text, "%" PRId64, value);
    va_start(args, key);
    add(f, text, key, args);
    va_end(args);
}

void stripe_form_bool(struct stripe_form *f, bool value, const char *key, ...)
{
    va_list args;
    va_start(args, key);
    add(f, value ? "true" : "false", key, args);
    va_end(args);
}

const char *stripe_form_body(const struct stripe_form *f)
{
    return f->body.data ? f->body.data : "";
}

char *stripe_form_take(struct stripe_form *f)
{
    return f->body.data ? buf_take(&f->body) : xstrdup("");
}

void stripe_form_done(struct stripe_form *f)
{
    buf_done(&f->body);
}
