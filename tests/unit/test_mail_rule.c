/* What a mail server's answer means for a message. */
#include "notifier/mail/mail_rule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void each_answer_means_one_thing(void **state)
{
    static const struct {
        enum err_kind error;
        enum smtp_step step;
        int code;
        enum message_end end;
    } CASES[] = {
        {ERR_NONE, SMTP_TEXT, 250, MESSAGE_SENT},
        /* Before a recipient is named, it concerns all mail. */
        {ERR_CONNECT, SMTP_GREETING, 0, MESSAGE_CHANNEL_DOWN},
        {ERR_REFUSED, SMTP_GREETING, 535, MESSAGE_CHANNEL_DOWN},
        {ERR_REFUSED, SMTP_GREETING, 554, MESSAGE_CHANNEL_DOWN},
        {ERR_REFUSED, SMTP_SENDER, 550, MESSAGE_CHANNEL_DOWN},
        {ERR_TIMEOUT, SMTP_SENDER, 250, MESSAGE_CHANNEL_DOWN},
        {ERR_REFUSED, SMTP_RECIPIENT, 421, MESSAGE_CHANNEL_DOWN},
        {ERR_REFUSED, SMTP_TEXT, 421, MESSAGE_CHANNEL_DOWN},
        /* The recipient. */
        {ERR_REFUSED, SMTP_RECIPIENT, 550, MESSAGE_REFUSED},
        {ERR_REFUSED, SMTP_RECIPIENT, 450, MESSAGE_ADDRESS_DOWN},
        {ERR_TIMEOUT, SMTP_RECIPIENT, 250, MESSAGE_ADDRESS_DOWN},
        {ERR_CLOSED, SMTP_RECIPIENT, 250, MESSAGE_ADDRESS_DOWN},
        /* This mail. */
        {ERR_REFUSED, SMTP_TEXT, 554, MESSAGE_REFUSED},
        {ERR_REFUSED, SMTP_TEXT, 451, MESSAGE_DELAYED},
        {ERR_CLOSED, SMTP_TEXT, 354, MESSAGE_DELAYED},
        {ERR_CANCELED, SMTP_TEXT, 354, MESSAGE_DELAYED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        const struct err e = {.kind = CASES[i].error};
        const struct smtp_answer answer = {.step = CASES[i].step, .code = CASES[i].code};
        enum message_end end = mail_rule(e.kind == ERR_NONE ? NULL : &e, &answer);
        if (end != CASES[i].end)
            fail_msg("case %zu: %d", i, (int)end);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_answer_means_one_thing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
