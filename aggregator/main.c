#include "aggregator/aggregator.h"

int main(int argc, char **argv)
{
    struct config config = {.once = false};
    const struct stage_flag flags[] = {
        {"--once", "count what is there, commit, and end", &config.once}, {.name = NULL}};
    int code = stage_config(argc, argv, &AGGREGATOR_STAGE, &config, flags);

    if (code < 0)
        code = stage_run(&AGGREGATOR_STAGE, &config.base);
    conf_done(AGGREGATOR_SETTINGS, &config);
    return code;
}
