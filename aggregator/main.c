/* meterline-aggregator: counts the entries of Redis streams into PostgreSQL, each once. */
#include "aggregator/aggregator.h"
#include "aggregator/config.h"

int main(int argc, char **argv)
{
    struct config config = {.give_up_after_s = STAGE_GIVE_UP_AFTER_S};
    const struct stage_flag flags[] = {
        {"--once", "count what is there, commit, and end", .value = &config.once},
        {"--give-up-after", STAGE_GIVE_UP_HELP, .seconds = &config.give_up_after_s,
         .needs = {&config.once}},
        {.name = NULL}};
    int code = stage_config(argc, argv, &AGGREGATOR_STAGE, &config, flags);
    if (code < 0)
        code = stage_run(&AGGREGATOR_STAGE, &config.base);
    conf_done(AGGREGATOR_SETTINGS, &config);
    return code;
}
