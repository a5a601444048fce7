/* The command line of a daemon: settings come from the environment, so there are few flags. */
#include "common/stage.h"

#include "common/contract.h"
#include "common/log.h"

#include <stdio.h>
#include <string.h>

static const char FLAGS[] = "\nFlags:\n"
                            "  --help          this text\n"
                            "  --version       the program's version\n"
                            "  --print-config  the settings in force, secrets as ***\n";

static void print_help(const struct stage_spec *spec, bool takes_once)
{
    conf_print_help(spec->settings, spec->program, "[flag]...", spec->what);
    fputs(FLAGS, stdout);
    bool told = spec->extra_usage && strstr(spec->extra_usage, "--once");
    if (takes_once && !told)
        fputs("  --once          do what there is to do, then exit 0\n", stdout);
    if (spec->extra_usage)
        fputs(spec->extra_usage, stdout);
}

struct flags {
    bool help;
    bool version;
    bool print;
};

static int take_flag(const char *text, struct flags *flags, bool *once)
{
    if (!strcmp(text, "--help") || !strcmp(text, "-h"))
        flags->help = true;
    else if (!strcmp(text, "--version"))
        flags->version = true;
    else if (!strcmp(text, "--print-config"))
        flags->print = true;
    else if (once && !strcmp(text, "--once"))
        *once = true;
    else
        return -1;
    return 0;
}

static int take_flags(int argc, char **argv, const char *program, struct flags *flags, bool *once)
{
    int faults = 0;
    for (int i = 1; i < argc; i++) {
        if (take_flag(argv[i], flags, once) == 0)
            continue;
        fprintf(stderr, "%s: unknown argument: %s (see --help)\n", program, argv[i]);
        faults++;
    }
    return faults ? -1 : 0;
}

int stage_config(int argc, char **argv, const struct stage_spec *spec, void *config, bool *once)
{
    struct flags flags = {0};
    if (take_flags(argc, argv, spec->program, &flags, once))
        return EXIT_SETTINGS;
    if (flags.help) {
        print_help(spec, once != NULL);
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
