/* What mail says of each kind of message: a line for the subject, what happened, what to do. {x} is
 * the member x of the message's data, {money} its amount with the currency, {tenant} the tenant.
 * Pure. */
#ifndef METERLINE_MAIL_KINDS_H
#define METERLINE_MAIL_KINDS_H

#include "common/str.h"
#include "notifier/outbox/message.h"

#include <jansson.h>

struct mail_kind {
    const char *kind;
    const char *subject;
    const char *what;
    const char *to_do;
};

/* Of a kind that has no words of its own, the last one, whose kind is NULL. */
const struct mail_kind *mail_kind_of(const char *kind);

/* Appends the template with its places filled. What data does not have becomes "?". */
void mail_fill(struct buf *out, const char *template, const struct message *m, const json_t *data);

/* Appends a value of data as text: strings as they are, null as "none", objects as JSON. */
void mail_add_value(struct buf *out, const json_t *value);

#endif
