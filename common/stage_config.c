/* The command line of a daemon: settings come from the environment, so there are few flags. */
#include "common/stage.h"

#include "common/contract.h"
#include "common/log.h"

#include <stdio.h>
#include <string.h>

static void print_flag(const char *name, const char *help)
{
    printf("  %-14s  %s\n", name, help);
}

static void print_help(const struct stage_spec *spec, const struct stage_flag *own)
{
    conf_print_help(spec->settings, spec->program, "[flag]...", spec->what);
    fputs("\nFlags:\n", stdout);
    print_flag("--help", "this text");
    print_flag("--version", "the program's version");
    print_flag("--print-config", "the settings in force, secrets as ***");
    for (; own && own->name; own++)
        print_flag(own->name, own->help);
}

struct flags {
    bool help;
    bool version;
    bool print;
};

static int take_own_flag(const char *text, const struct stage_flag *own)
{
    for (; own && own->name; own++)
        if (!strcmp(text, own->name)) {
            *own->value = true;
            return 0;
        }
    return -1;
}

static int take_flag(const char *text, struct flags *flags, const struct stage_flag *own)
{
    if (!strcmp(text, "--help") || !strcmp(text, "-h"))
        flags->help = true;
    else if (!strcmp(text, "--version"))
        flags->version = true;
    else if (!strcmp(text, "--print-config"))
        flags->print = true;
    else
        return take_own_flag(text, own);
    return 0;
}

static int take_flags(int argc, char **argv, const char *program, struct flags *flags,
                      const struct stage_flag *own)
{
    int faults = 0;
    for (int i = 1; i < argc; i++) {
        if (take_flag(argv[i], flags, own) == 0)
            continue;
        fprintf(stderr, "%s: unknown argument: %s (see --help)\n", program, argv[i]);
        faults++;
    }
    return faults ? -1 : 0;
}

int stage_config(int argc, char **argv, const struct stage_spec *spec, void *config,
                 const struct stage_flag *own)
{
    struct flags flags = {0};
    if (take_flags(argc, argv, spec->program, &flags, own))
        return EXIT_SETTINGS;
    if (flags.help) {
        print_help(spec, own);
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
    if (!flags.print)
        return -1;
    conf_print(spec->settings, config);
    conf_done(spec->settings, config);
    return EXIT_DONE;
}
