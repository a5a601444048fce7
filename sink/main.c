/* meterline-sink: claims what was counted and hands it to Stripe, each unit once. See README.md. */
#include "common/stage.h"
#include "sink/config.h"
#include "sink/dry_run.h"
#include "sink/sink.h"

#include <sodium.h>
#include <stdio.h>

struct app {
    struct config config; /* first, as the stage takes a pointer to it for its config */
    bool once;
    bool dry;
    int64_t give_up_after_s;
    struct sink *sink;
    struct dry_run *dry_run; /* instead of sink */
};

static int start(struct stage *stage, void *owner, struct err *e)
{
    struct app *app = owner;
    if (app->dry)
        app->dry_run = dry_run_open(stage, app->config.base.database_url);
    else
        app->sink = sink_open(stage, &app->config, app->once, e);
    if (!app->dry && !app->sink)
        return -1;
    if (!app->dry && !app->once)
        stage_announce(stage, NULL);
    else
        stage_give_up_after(stage, app->give_up_after_s);
    return 0;
}

static void drain(void *owner)
{
    struct app *app = owner;
    if (app->dry)
        dry_run_drain(app->dry_run);
    else
        sink_drain(app->sink);
}

static void close_all(void *owner)
{
    struct app *app = owner;
    if (app->dry)
        dry_run_close(app->dry_run);
    else
        sink_close(app->sink);
}

static bool is_ready(void *owner, struct buf *why)
{
    const struct app *app = owner;
    return app->dry ? dry_run_is_ready(app->dry_run, why) : sink_is_ready(app->sink, why);
}

static const struct stage_spec STAGE = {
    .name = "sink",
    .program = "meterline-sink",
    .what = "Claims counted usage and submits it to Stripe, each unit once.",
    .settings = SINK_SETTINGS,
    .check = config_check,
    .start = start,
    .drain = drain,
    .close = close_all,
    .ready = is_ready,
};

int main(int argc, char **argv)
{
    struct app app = {.give_up_after_s = STAGE_GIVE_UP_AFTER_S};
    if (sodium_init() < 0) {
        fputs("meterline-sink: libsodium does not start\n", stderr);
        return EXIT_FAILED;
    }
    const struct stage_flag flags[] = {
        {"--once", "claim, send and settle all that can be, then exit 0", .value = &app.once},
        {"--dry-run", "print what would be claimed and sent, do neither, exit 0",
         .value = &app.dry},
        {"--give-up-after", STAGE_GIVE_UP_HELP, .seconds = &app.give_up_after_s,
         .needs = {&app.once, &app.dry}},
        {.name = NULL}};
    int code = stage_config(argc, argv, &STAGE, &app.config, flags);
    if (code < 0) {
        code = stage_run(&STAGE, &app.config);
        conf_done(SINK_SETTINGS, &app.config);
    }
    return code;
}
