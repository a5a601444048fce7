/* meterline-notifier: tells of what happened, by signals, mail and signed POSTs. */
#include "notifier/notifier.h"

#include <sodium.h>
#include <stdio.h>

static const struct stage_spec STAGE = {
    .name = "notifier",
    .program = "meterline-notifier",
    .what = "Tells of what happened, by signals in Redis, mail and signed POSTs.",
    .settings = NOTIFIER_SETTINGS,
    .check = notifier_config_check,
    .start = notifier_start,
    .drain = notifier_drain,
    .close = notifier_close,
    .ready = notifier_ready,
};

int main(int argc, char **argv)
{
    struct notifier notifier = {0};
    if (sodium_init() < 0) {
        fputs("meterline-notifier: libsodium could not be initialised\n", stderr);
        return EXIT_FAILED;
    }
    int code = stage_config(argc, argv, &STAGE, &notifier, NULL);
    if (code >= 0)
        return code;
    code = stage_run(&STAGE, &notifier);
    conf_done(NOTIFIER_SETTINGS, &notifier);
    return code;
}
