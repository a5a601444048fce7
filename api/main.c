/* meterline-api: customers, plans, usage, invoices and revenue over HTTP. */
#include "api/api.h"

#include <sodium.h>
#include <stdio.h>

static const struct stage_spec STAGE = {
    .name = "api",
    .program = "meterline-api",
    .what = "Serves customers, subscriptions, usage, invoices and revenue over HTTP.",
    .settings = API_SETTINGS,
    .check = api_config_check,
    .start = api_start,
    .drain = api_drain,
    .close = api_close,
    .ready = api_ready,
};

int main(int argc, char **argv)
{
    struct api api = {0};
    if (sodium_init() < 0) {
        fputs("meterline-api: libsodium could not be initialised\n", stderr);
        return EXIT_FAILED;
    }
    int code = stage_config(argc, argv, &STAGE, &api, NULL);
    if (code >= 0)
        return code;
    code = stage_run(&STAGE, &api);
    conf_done(API_SETTINGS, &api);
    return code;
}
