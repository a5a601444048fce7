#include "notifier/mail/mail_rule.h"

enum { SERVICE_CLOSING = 421 };

enum message_end mail_rule(const struct err *error, const struct smtp_answer *answer)
{
    if (!error)
        return MESSAGE_SENT;
    if (answer->step < SMTP_RECIPIENT || answer->code == SERVICE_CLOSING)
        return MESSAGE_CHANNEL_DOWN;
    if (error->kind == ERR_REFUSED && answer->code >= 500)
        return MESSAGE_REFUSED;
    if (answer->step == SMTP_RECIPIENT)
        return MESSAGE_ADDRESS_DOWN;
    return MESSAGE_DELAYED;
}
