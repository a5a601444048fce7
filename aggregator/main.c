#include "aggregator/aggregator.h"

int main(int argc, char **argv)
{
    struct config config = {.once = false};
    int code = stage_config(argc, argv, &AGGREGATOR_STAGE, &config, &config.once);

    if (code < 0)
        code = stage_run(&AGGREGATOR_STAGE, &config.base);
    conf_done(AGGREGATOR_SETTINGS, &config);
    return code;
}
