/* Errors that come from outside: a peer, a setting, an input. Our own bugs are asserts, never errs.
 *
 * A fallible function returns 0 or -1 and fills the caller's struct err. An err is logged once,
 * where it is handled. ERR_TIMEOUT and ERR_CLOSED of a request that was sent mean "outcome
 * unknown": only a caller with an idempotency key may repeat it. */
#ifndef METERLINE_ERR_H
#define METERLINE_ERR_H

#include <stdbool.h>

#define ERR_KINDS(X)                                                                               \
    X(ERR_NONE, "none", "no error")                                                                \
    X(ERR_CONFIG, "config", "a setting is wrong")                                                  \
    X(ERR_USAGE, "usage", "wrong usage")                                                           \
    X(ERR_INPUT, "input", "bad input")                                                             \
    X(ERR_RANGE, "range", "out of range")                                                          \
    X(ERR_TIMEOUT, "timeout", "no answer in time")                                                 \
    X(ERR_CONNECT, "connect", "cannot connect")                                                    \
    X(ERR_CLOSED, "closed", "connection lost")                                                     \
    X(ERR_CANCELED, "canceled", "canceled")                                                        \
    X(ERR_REFUSED, "refused", "refused by the peer")                                               \
    X(ERR_FENCED, "fenced", "another process owns it")                                             \
    X(ERR_SCHEMA, "schema", "wrong schema")                                                        \
    X(ERR_TLS, "tls", "TLS refused")                                                               \
    X(ERR_IO, "io", "input/output failed")

enum err_kind {
#define X(kind, name, text) kind,
    ERR_KINDS(X)
#undef X
};

struct err {
    enum err_kind kind; /* what happened */
    bool retry;         /* the same call may succeed later */
    int code;           /* errno, HTTP status or 0 */
    char sqlstate[6];   /* PostgreSQL's five characters, or "" */
    char text[200];     /* for people: what and where */
};

/* Fill e and return -1, so that a function can end in `return err_set(e, …)`. retry is set for the
 * kinds that pass by themselves (timeout, connect, closed); code and sqlstate are cleared. Long
 * texts are cut. */
int err_set(struct err *e, enum err_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Put "context: " before the text; returns -1. */
int err_wrap(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The kind's own short text, such as "no answer in time". Static. */
const char *err_kind_text(enum err_kind kind);

/* The kind's name in lower case without the prefix, such as "timeout", for logs. Static. */
const char *err_kind_name(enum err_kind kind);

#endif
