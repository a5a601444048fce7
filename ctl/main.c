/* meterctl: the operator's tool. Finds the command, reads the settings, runs it. */
#include "common/contract.h"
#include "common/manual.h"
#include "ctl/args.h"
#include "ctl/completion.h"
#include "ctl/ctl.h"
#include "ctl/export/object_store.h"
#include "ctl/help.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define CONFIG(name) offsetof(struct ctl_config, name)

/* clang-format off */
static const struct conf_setting SETTINGS[] = {
    CONF_DATABASE_URL(struct ctl_config, base),
    CONF_REDIS_URL(struct ctl_config, base),
    CONF_SHARDS_FOUND(struct ctl_config, base),
    CONF_RAW_KEEP(struct ctl_config, raw_keep_days),
    CONF_REJECT_KEEP(struct ctl_config, reject_keep_days),
    {.name = "WEBHOOK_PAYLOAD_KEEP_DAYS",
     .type = CONF_INT,
     .offset = CONFIG(payload_keep_days),
     .fallback = "30",
     .unit = "days",
     .min = 1,
     .max = 3650,
     .help = "how long bodies of processed webhook events are kept"},
    {"STRIPE_SECRET_KEY", CONF_STR, CONFIG(stripe_secret_key), .secret = true,
     .check = conf_check_stripe_key, .help = "Stripe's API key; for reconcile, restore accept and doctor"},
    {"STRIPE_LIVE", CONF_BOOL, CONFIG(stripe_live), .fallback = "0", .help = "1 allows live keys"},
    {"STRIPE_API_BASE", CONF_STR, CONFIG(stripe_api_base), .fallback = "https://api.stripe.com",
     .check = conf_check_stripe_base, .help = "address of Stripe's API; http:// only to this machine"},
    {"STRIPE_API_VERSION", CONF_STR, CONFIG(stripe_api_version), .fallback = STRIPE_VERSION_CURRENT,
     .check = conf_check_token, .help = "Stripe-Version of what is read"},
    {"SINK_RECONCILE_RATE_PER_S", CONF_INT, CONFIG(reconcile_rate_per_s), .fallback = "10",
     .unit = "calls", .min = 1, .max = 1000, .help = "calls a second while comparing with Stripe"},
    {"SINK_RATE_PER_S", CONF_INT, CONFIG(sink_rate_per_s), .fallback = "0", .unit = "calls", .min = 0,
     .max = 10000, .help = "calls a second while restore accept reads Stripe; 0: 20"},
    {"EXPORT_URL", CONF_STR, CONFIG(export_url), .check = object_store_check_url,
     .help = "where export writes: bucket and folder of an object store that speaks S3"},
    {"EXPORT_REGION", CONF_STR, CONFIG(export_region), .fallback = "us-east-1", .check = conf_check_token,
     .help = "the region of that store; most others than AWS take any"},
    {"EXPORT_ACCESS_KEY_ID", CONF_STR, CONFIG(export_key_id), .check = conf_check_token,
     .help = "whose key export uses; it needs s3:PutObject and s3:AbortMultipartUpload"},
    {"EXPORT_SECRET_ACCESS_KEY", CONF_STR, CONFIG(export_secret), .secret = true,
     .help = "the secret of that key"},
    {"EXPORT_PART_MB", CONF_INT, CONFIG(export_part_mb), .fallback = "8", .unit = "MB", .min = 5, .max = 1024,
     .help = "files that are larger go in parts of this size; one is held in memory"},
    {.name = NULL},
};
/* clang-format on */

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int load_config(struct ctl_config *config)
{
    conf_start_log(CTL_PROGRAM);
    return conf_load(SETTINGS, config);
}

/* A tenant may be called --help. */
static bool asks_for_help(const struct ctl_command *command, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (is_help(argv[i]))
            return true;
        if (args_wants_value(command->arguments, argv[i]))
            i++;
    }
    return false;
}

static int run_command(const struct ctl_command *command, int argc, char **argv)
{
    struct ctl_config config = {0};
    if (asks_for_help(command, argc, argv)) {
        help_print_command(command);
        return CTL_DONE;
    }
    ctl_begin(command);
    int code = load_config(&config) ? CTL_USAGE : command->run(&config, argc, argv);
    conf_done(SETTINGS, &config);
    return code;
}

static int print_config(void)
{
    struct ctl_config config = {0};
    int failed = load_config(&config);
    if (!failed)
        conf_print(SETTINGS, &config);
    conf_done(SETTINGS, &config);
    return failed ? CTL_USAGE : CTL_DONE;
}

/* Print the usage of all commands that begin with this word. Returns how many there are. */
static int print_commands(const char *word)
{
    int found = 0;
    for (const struct ctl_command *c = CTL_COMMANDS; c->run; c++) {
        if (strcmp(word, c->words[0]) != 0)
            continue;
        fputs(found++ ? "       " : "usage: ", stdout);
        help_print_usage(c);
        printf("\n           %s\n", c->what);
    }
    return found;
}

/* The first word may be right and the second one (or NULL) wrong: then say how the command goes on.
 */
static int fail_unknown(const char *word, const char *second)
{
    bool known = false;
    for (const struct ctl_command *c = CTL_COMMANDS; c->run; c++) {
        if (strcmp(word, c->words[0]) != 0)
            continue;
        if (!known && second)
            ctl_fail(CTL_USAGE, "unknown command: %s %s", word, second);
        known = true;
        ctl_fail(CTL_USAGE, "usage: %s %s %s%s%s", CTL_PROGRAM, word, c->words[1],
                 *c->arguments ? " " : "", c->arguments);
    }
    return known ? CTL_USAGE
                 : ctl_fail(CTL_USAGE, "unknown command: %s (see meterctl --help)", word);
}

/* `show` has the name that other tools have for it, too. */
static bool is_second(const struct ctl_command *command, const char *word)
{
    const char *second = command->words[1];
    return strcmp(word, second) == 0 || (strcmp(word, "get") == 0 && strcmp(second, "show") == 0);
}

int main(int argc, char **argv)
{
    if (sodium_init() < 0)
        return ctl_fail(CTL_FAILED, "libsodium cannot be initialized");
    if (argc > 1 && (is_help(argv[1]) || strcmp(argv[1], "help") == 0))
        return help_print(SETTINGS), CTL_DONE;
    if (argc > 1 && strcmp(argv[1], MANUAL_FLAG) == 0)
        return help_print_manual(SETTINGS), CTL_DONE;
    if (argc > 1 && strcmp(argv[1], COMPLETION_FLAG) == 0)
        return completion_print(), CTL_DONE;
    if (argc > 1 && strcmp(argv[1], "--version") == 0)
        return printf("%s %s\n", CTL_PROGRAM, METERLINE_VERSION) < 0;
    if (argc > 1 && strcmp(argv[1], "--print-config") == 0)
        return print_config();
    for (const struct ctl_command *c = CTL_COMMANDS; argc > 1 && c->run; c++) {
        int words = c->words[1] ? 2 : 1;
        if (strcmp(argv[1], c->words[0]) == 0 &&
            (words == 1 || (argc > 2 && is_second(c, argv[2]))))
            return run_command(c, argc - 1 - words, argv + 1 + words);
    }
    if (argc > 2 && is_help(argv[2]) && print_commands(argv[1]) > 0)
        return CTL_DONE;
    return argc > 1 ? fail_unknown(argv[1], argv[2])
                    : ctl_fail(CTL_USAGE, "a command is missing (see meterctl --help)");
}
