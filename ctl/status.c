/* meterctl status and meterctl watch: how the line is doing, once or again and again. */
#include "ctl/status.h"

#include "common/clock.h"
#include "ctl/table.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { WATCH_INTERVAL_S = 2 };

static const char *const SECTIONS[] = {"peers",    "stages", "submissions", "webhooks",
                                       "unbilled", "quotas", "ledger"};

static void print_tables(const json_t *report)
{
    for (size_t i = 0; i < sizeof SECTIONS / sizeof SECTIONS[0]; i++)
        table_print(SECTIONS[i], json_object_get(report, SECTIONS[i]));
}

static void print_json(const json_t *report)
{
    json_dumpf(report, stdout, JSON_INDENT(2));
    putchar('\n');
}

int status_run(const struct ctl_config *config, int argc, char **argv)
{
    bool json = false;
    bool read = false;

    if (ctl_take_flag(argc, argv, "--json", &json))
        return CTL_USAGE;
    json_t *report = status_gather(config, &read);
    (json ? print_json : print_tables)(report);
    json_decref(report);
    return read ? CTL_DONE : CTL_FAILED;
}

/* A terminal is painted over; anything else gets one report after the other. */
static void show_again(const struct ctl_config *config)
{
    char now[CLOCK_TEXT_SIZE];
    bool read = false;
    json_t *report = status_gather(config, &read);

    if (isatty(STDOUT_FILENO))
        fputs("\033[H\033[2J", stdout);
    clock_format_iso(clock_unix_ms(), now);
    printf("%s\n\n", now);
    print_tables(report);
    json_decref(report);
}

int watch_run(const struct ctl_config *config, int argc, char **argv)
{
    const struct timespec pause = {.tv_sec = WATCH_INTERVAL_S};

    if (argc > 0)
        return ctl_fail(CTL_USAGE, "unknown argument: %s (see meterctl watch --help)", argv[0]);
    do {
        show_again(config);
        nanosleep(&pause, NULL);
    } while (fflush(stdout) == 0);
    return CTL_FAILED;
}
