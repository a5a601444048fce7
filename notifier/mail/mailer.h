/* Mail: each message goes to its tenant's address by the mail server of SMTP_URL. What the server
 * refuses for good is failed, and what it puts off is tried again. While the server itself cannot
 * be used, nothing is tried but after a wait that doubles.
 *
 * An attempt whose answer was lost is repeated: the Message-ID is that of the message, so that
 * receivers can drop the repeat. */
#ifndef METERLINE_NOTIFIER_MAILER_H
#define METERLINE_NOTIFIER_MAILER_H

#include "notifier/context.h"

struct mailer;

/* context is borrowed until it is closed. */
struct mailer *mailer_open(const struct context *context);
/* There may be a message. */
void mailer_wake(struct mailer *m);
bool mailer_is_idle(const struct mailer *m);
/* Without a mail server the stage is ready all the same; why tells of it. */
bool mailer_is_ready(const struct mailer *m, struct buf *why);
void mailer_close(struct mailer *m);

#endif
