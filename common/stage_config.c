/* The command line of a daemon: settings come from the environment, so there are few flags. */
#include "common/stage.h"

#include "common/contract.h"
#include "common/healthcheck.h"
#include "common/log.h"
#include "common/manual.h"

#include <stdio.h>
#include <string.h>

enum { SECONDS_MAX = 86400 };

const char STAGE_GIVE_UP_HELP[] =
    "S: … and exit 1 if it could not work for S seconds, such as with a server away (30)";

static const struct manual_item COMMON_FLAGS[] = {
    {"--help", "this text"},
    {"--version", "the program's version"},
    {"--print-config", "the settings in force, secrets as ***"},
    {"--healthcheck", "ask one that runs with these settings for its /readyz; exit 0 or 1"},
    {NULL, NULL}};

static const struct manual_item EXIT_CODES[] = {{"0", "done, or ended by SIGTERM or SIGINT"},
                                                {"1", "could not go on"},
                                                {"2", "wrong settings or usage"},
                                                {NULL, NULL}};

static const char SIGNALS[] =
    "SIGTERM, SIGINT  take no new work, finish or hand back what is in flight within 10 s, end\n"
    "SIGHUP           read the files of settings (X_FILE) again, as when one of them changes\n";

static const char ARGUMENTS[] = "[flag]...";

static void print_flag(const char *name, const char *help)
{
    printf("  %-15s  %s\n", name, help);
}

static void print_help(const struct stage_spec *spec, const struct stage_flag *own)
{
    conf_print_help(spec->settings, spec->program, ARGUMENTS, spec->what);
    fputs("\nFlags:\n", stdout);
    for (const struct manual_item *f = COMMON_FLAGS; f->term; f++)
        print_flag(f->term, f->text);
    for (; own && own->name; own++)
        print_flag(own->name, own->help);
    manual_print_exit_codes(EXIT_CODES);
}

static void print_manual(const struct stage_spec *spec, const struct stage_flag *own)
{
    manual_begin(spec->program, 8, spec->what);
    manual_section("SYNOPSIS");
    manual_usage(spec->program, ARGUMENTS);
    manual_section("DESCRIPTION");
    manual_text(spec->what);
    manual_section("OPTIONS");
    manual_items(COMMON_FLAGS);
    for (; own && own->name; own++)
        manual_item(own->name, own->help);
    conf_print_manual(spec->settings);
    manual_section("SIGNALS");
    manual_text(SIGNALS);
    manual_end(spec->program, EXIT_CODES);
}

struct flags {
    const char *program;
    const struct stage_flag *limited; /* the one with seconds, if it is there */
    bool help;
    bool manual;
    bool version;
    bool print;
    bool healthcheck;
};

static const struct stage_flag *find_own(const char *text, const struct stage_flag *own)
{
    for (; own && own->name; own++) {
        size_t length = strlen(own->name);
        if (!strncmp(text, own->name, length) &&
            (!text[length] || (own->seconds && text[length] == '=')))
            return own;
    }
    return NULL;
}

/* Of "--flag=30", or of "--flag 30", where *i moves on. */
static int parse_seconds(int argc, char **argv, int *i, struct flags *flags)
{
    const struct stage_flag *own = flags->limited;
    const char *equals = strchr(argv[*i], '=');
    const char *text = equals ? equals + 1 : *i + 1 < argc ? argv[++*i] : "";
    if (str_to_i64(text, strlen(text), own->seconds) == 0 && *own->seconds >= 1 &&
        *own->seconds <= SECONDS_MAX)
        return 0;
    fprintf(stderr, "%s: %s must be 1 to %d seconds\n", flags->program, own->name, SECONDS_MAX);
    return -1;
}

static int parse_own_flag(int argc, char **argv, int *i, struct flags *flags,
                          const struct stage_flag *own)
{
    const struct stage_flag *found = find_own(argv[*i], own);
    if (!found) {
        fprintf(stderr, "%s: unknown argument: %s (see --help)\n", flags->program, argv[*i]);
        return -1;
    }
    if (found->seconds) {
        flags->limited = found;
        return parse_seconds(argc, argv, i, flags);
    }
    *found->value = true;
    return 0;
}

static int parse_flag(int argc, char **argv, int *i, struct flags *flags,
                      const struct stage_flag *own)
{
    const char *text = argv[*i];
    if (!strcmp(text, "--help") || !strcmp(text, "-h"))
        flags->help = true;
    else if (!strcmp(text, MANUAL_FLAG))
        flags->manual = true;
    else if (!strcmp(text, "--version"))
        flags->version = true;
    else if (!strcmp(text, "--print-config"))
        flags->print = true;
    else if (!strcmp(text, "--healthcheck"))
        flags->healthcheck = true;
    else
        return parse_own_flag(argc, argv, i, flags, own);
    return 0;
}

static bool lacks_partner(const struct flags *flags)
{
    const struct stage_flag *f = flags->limited;
    if (!f || *f->needs[0] || (f->needs[1] && *f->needs[1]))
        return false;
    fprintf(stderr, "%s: %s is for a run that ends by itself (see --help)\n", flags->program,
            f->name);
    return true;
}

static int parse_flags(int argc, char **argv, struct flags *flags, const struct stage_flag *own)
{
    int faults = 0;
    for (int i = 1; i < argc; i++)
        faults += parse_flag(argc, argv, &i, flags, own) ? 1 : 0;
    return faults || lacks_partner(flags) ? -1 : 0;
}

int stage_config(int argc, char **argv, const struct stage_spec *spec, void *config,
                 const struct stage_flag *own)
{
    struct flags flags = {.program = spec->program};
    if (parse_flags(argc, argv, &flags, own))
        return EXIT_SETTINGS;
    if (flags.help) {
        print_help(spec, own);
        return EXIT_DONE;
    }
    if (flags.manual) {
        print_manual(spec, own);
        return EXIT_DONE;
    }
    if (flags.version) {
        printf("%s %s\n", spec->program, METERLINE_VERSION);
        return EXIT_DONE;
    }
    conf_start_log(spec->name);
    int faults = conf_load(spec->settings, config) ? 1 : 0;
    if (spec->check)
        faults += spec->check(config);
    if (faults) {
        conf_done(spec->settings, config);
        return EXIT_SETTINGS;
    }
    const struct conf_base *base = config;
    log_init(spec->name, (enum log_level)base->log_level, (enum log_format)base->log_format);
    if (!flags.print && !flags.healthcheck)
        return -1;
    int exit_code = EXIT_DONE;
    if (flags.print)
        conf_print(spec->settings, config);
    else
        exit_code = healthcheck_run(spec->program, base->ops_listen);
    conf_done(spec->settings, config);
    return exit_code;
}
