/* A message as mail: header, plain text and HTML (RFC 5322, 2045 to 2047). Pure.
 *
 * Whatever comes from outside, such as a tenant's name, can neither add a header line nor leave its
 * place in the HTML. */
#ifndef METERLINE_MAIL_TEXT_H
#define METERLINE_MAIL_TEXT_H

#include "common/err.h"
#include "common/str.h"
#include "notifier/outbox/message.h"

/* "Name <user@host>" or "user@host" into the bare address (malloc'd) and the name (malloc'd, "" if
 * there is none). Returns 0, or -1 with e. */
int mail_parse_from(const char *text, char **address, char **name, struct err *e);

/* Whether text is one address and nothing else: no blanks, no control characters, one @. */
bool mail_is_address(const char *text);

/* Appends the whole mail to m->destination, CRLF at each line's end. from: as mail_parse_from takes
 * it. */
void mail_compose(const struct message *m, const char *from, int64_t now_ms, struct buf *out);

#endif
