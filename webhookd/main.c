/* meterline-webhookd: takes Stripe's webhooks, and keeps customers, subscriptions, invoices and
 * limits up to date. */
#include "webhookd/webhookd.h"

#include <sodium.h>
#include <stdio.h>

static const struct stage_spec STAGE = {
    .name = "webhookd",
    .program = "meterline-webhookd",
    .what = "Takes Stripe's webhooks, and keeps customers, subscriptions and limits up to date.",
    .settings = WEBHOOKD_SETTINGS,
    .check = webhookd_config_check,
    .start = webhookd_start,
    .drain = webhookd_drain,
    .close = webhookd_close,
    .ready = webhookd_ready,
};

int main(int argc, char **argv)
{
    struct webhookd webhookd = {0};
    if (sodium_init() < 0) {
        fputs("meterline-webhookd: libsodium could not be initialised\n", stderr);
        return EXIT_FAILED;
    }
    int code = stage_config(argc, argv, &STAGE, &webhookd, NULL);
    if (code >= 0)
        return code;
    code = stage_run(&STAGE, &webhookd);
    conf_done(WEBHOOKD_SETTINGS, &webhookd);
    return code;
}
