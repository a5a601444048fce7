#include "emitter/config.h"

#include "common/contract.h"
#include "common/manual.h"
#include "common/str.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum { GIVE_UP_S = 60, GIVE_UP_MAX_S = 86400 };

static const struct conf_setting SETTINGS[] = {
    CONF_REDIS_URL(struct emitter_config, base),
    CONF_SHARDS(struct emitter_config, base),
    CONF_LOG(struct emitter_config, base),
    {.name = NULL},
};

enum flag {
    FLAG_HELP = 'h',
    FLAG_MANUAL = 256,
    FLAG_VERSION,
    FLAG_PRINT,
    FLAG_CATALOG,
    FLAG_REFUSED,
    FLAG_GIVE_UP,
    FLAG_DRY_RUN,
    FLAG_CSV,
    FLAG_MAP
};

static const struct option FLAGS[] = {
    {"help", no_argument, NULL, FLAG_HELP},
    {&MANUAL_FLAG[2], no_argument, NULL, FLAG_MANUAL},
    {"version", no_argument, NULL, FLAG_VERSION},
    {"print-config", no_argument, NULL, FLAG_PRINT},
    {"catalog", required_argument, NULL, FLAG_CATALOG},
    {"refused", required_argument, NULL, FLAG_REFUSED},
    {"give-up-after", required_argument, NULL, FLAG_GIVE_UP},
    {"dry-run", no_argument, NULL, FLAG_DRY_RUN},
    {"csv", no_argument, NULL, FLAG_CSV},
    {"map", required_argument, NULL, FLAG_MAP},
    {NULL, 0, NULL, 0},
};

static const char WHAT[] = "Sends usage events to Redis, one line of JSON each, or CSV.";
static const char ARGUMENTS[] = "[flag]... [FILE]...";
static const char INPUT[] =
    "Reads each FILE, or standard input (-) if there is none. One event a line:\n"
    "  {\"tenant\": \"acme\", \"metric\": \"api_calls\", \"quantity\": \"1.5\", \"model\": "
    "\"large\"}\n"
    "An event without an id gets a UUIDv7, and one without ts the time at which it is read.\n";

static const struct manual_item FLAG_HELPS[] = {
    {"--catalog FILE", "refuse metrics that are not in this catalog"},
    {"--refused FILE", "write the place and reason of every refused line here"},
    {"--give-up-after S", "stop when Redis has not answered for S seconds; default 60"},
    {"--csv",
     "the input is CSV, and its first line names the fields; so is a FILE that ends in .csv"},
    {"--map A=B,C=D",
     "CSV: the field A is ours B (tenant, metric, …), and C is D; C= leaves C out"},
    {"--dry-run", "only check the lines; needs no Redis"},
    {"--daemon",
     "take events by HTTP instead, and tell gateways about quotas: see --daemon --help"},
    {"--help", "this text"},
    {"--version", "the program's version"},
    {"--print-config", "the settings in force, secrets as ***"},
    {NULL, NULL}};

static const struct manual_item EXIT_CODES[] = {
    {"0", "all sent"},
    {"1", "something was refused or may not have been sent"},
    {"2", "wrong settings or usage"},
    {NULL, NULL}};

static void print_help(void)
{
    conf_print_help(SETTINGS, EMITTER_PROGRAM, ARGUMENTS, WHAT);
    printf("\n%s\nFlags:\n", INPUT);
    for (const struct manual_item *f = FLAG_HELPS; f->term; f++)
        printf("  %-17s  %s\n", f->term, f->text);
    manual_print_exit_codes(EXIT_CODES);
}

static void print_manual(void)
{
    manual_begin(EMITTER_PROGRAM, 1, WHAT);
    manual_section("SYNOPSIS");
    manual_usage(EMITTER_PROGRAM, ARGUMENTS);
    manual_section("DESCRIPTION");
    manual_text(INPUT);
    manual_section("OPTIONS");
    manual_items(FLAG_HELPS);
    conf_print_manual(SETTINGS);
    manual_end(EMITTER_PROGRAM, EXIT_CODES);
}

static int parse_give_up(struct emitter_config *config, const char *text)
{
    int64_t seconds;
    if (str_to_i64(text, strlen(text), &seconds) || seconds < 0 || seconds > GIVE_UP_MAX_S) {
        fprintf(stderr, "%s: --give-up-after: must be 0 to %d seconds\n", EMITTER_PROGRAM,
                GIVE_UP_MAX_S);
        return EMITTER_USAGE;
    }
    config->give_up_ms = seconds * 1000;
    return -1;
}

/* Returns -1 to go on. */
static int parse_flag(struct emitter_config *config, int flag, bool *print)
{
    switch (flag) {
    case FLAG_HELP:
        print_help();
        return EMITTER_DONE;
    case FLAG_MANUAL:
        print_manual();
        return EMITTER_DONE;
    case FLAG_VERSION:
        printf("%s %s\n", EMITTER_PROGRAM, METERLINE_VERSION);
        return EMITTER_DONE;
    case FLAG_PRINT:
        *print = true;
        return -1;
    case FLAG_CATALOG:
        config->catalog = optarg;
        return -1;
    case FLAG_REFUSED:
        config->refused = optarg;
        return -1;
    case FLAG_GIVE_UP:
        return parse_give_up(config, optarg);
    case FLAG_DRY_RUN:
        config->dry_run = true;
        return -1;
    case FLAG_CSV:
        config->csv = true;
        return -1;
    case FLAG_MAP:
        config->map = optarg;
        return -1;
    default: /* getopt has said what is wrong */
        fprintf(stderr, "%s: see --help\n", EMITTER_PROGRAM);
        return EMITTER_USAGE;
    }
}

int emitter_configure(int argc, char **argv, struct emitter_config *config)
{
    int code = -1;
    int flag;
    bool print = false;
    config->give_up_ms = (int64_t)GIVE_UP_S * 1000;
    while (code < 0 && (flag = getopt_long(argc, argv, "h", FLAGS, NULL)) != -1)
        code = parse_flag(config, flag, &print);
    if (code >= 0)
        return code;
    config->files = argv + optind;
    config->files_count = argc - optind;
    conf_start_log("emitter");
    if (conf_load(SETTINGS, config))
        return EMITTER_USAGE;
    if (!print)
        return -1;
    conf_print(SETTINGS, config);
    return EMITTER_DONE;
}

struct conf_reload *emitter_config_files(struct emitter_config *config)
{
    return conf_reload_new(&(struct conf_reload_terms){.table = SETTINGS, .config = config});
}

void emitter_config_done(struct emitter_config *config)
{
    conf_done(SETTINGS, config);
}
