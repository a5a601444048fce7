/* What a mail server's answer means for a message. Pure. */
#ifndef METERLINE_MAIL_RULE_H
#define METERLINE_MAIL_RULE_H

#include "common/http/smtp_client.h"
#include "notifier/outbox/message.h"

/* error: NULL if the server took it. A 5xx to the recipient or the text is for good, a 4xx passes
 * (RFC 5321, 4.2.1). Whatever goes wrong before the recipient is named concerns all mail. */
enum message_end mail_rule(const struct err *error, const struct smtp_answer *answer);

#endif
