/* What the commands of meterctl share: settings, exit codes, messages, and the table that lists
 * them. */
#ifndef METERLINE_CTL_H
#define METERLINE_CTL_H

#include "common/conf.h"
#include "common/err.h"

#include <libpq-fe.h>
#include <stdbool.h>

#define CTL_PROGRAM "meterctl"
#define CTL_ROLE    "meterline_ctl"

enum ctl_exit {
    CTL_DONE = 0,
    CTL_FAILED = 1,    /* could not go on; audit: unbalanced; rebuild: differences */
    CTL_USAGE = 2,     /* wrong settings or usage */
    CTL_UNCHECKED = 3, /* audit, rebuild, reconcile: a peer is down, or the data it needs is gone */
    CTL_ATTENTION = 4  /* audit: everything adds up, and something waits for a person */
};

struct ctl_config {
    struct conf_base base;
    int64_t raw_keep_days;
    int64_t reject_keep_days;
    int64_t payload_keep_days;
    char *stripe_secret_key; /* NULL: commands that ask Stripe refuse to run */
    char *stripe_api_base;
    char *stripe_api_version;
    bool stripe_live; /* live keys are allowed */
    int64_t reconcile_rate_per_s;
    int64_t sink_rate_per_s; /* 0: by the key's mode */
    char *export_url;        /* these three: NULL: there is no export */
    char *export_key_id;
    char *export_secret;
    char *export_region;
    int64_t export_part_mb;
};

/* One command. words are its name, such as "catalog" "apply". run gets the arguments behind them
 * and checks them itself; it returns an exit code. */
struct ctl_command {
    const char
        *group; /* heading above it in `meterctl --help`; NULL: same group as the command before */
    const char *words[2];  /* the second NULL for a command of one word */
    const char *arguments; /* for the usage line, or "" */
    const char *what;      /* one line for `meterctl --help` */
    const char *detail;    /* the rest of the command's own help, or "" */
    int (*run)(const struct ctl_config *config, int argc, char **argv);
};

extern const struct ctl_command CTL_COMMANDS[]; /* ends in one whose run is NULL */

int migrate_run(const struct ctl_config *config, int argc, char **argv);
int catalog_apply_run(const struct ctl_config *config, int argc, char **argv);
int catalog_show_run(const struct ctl_config *config, int argc, char **argv);
int quota_show_run(const struct ctl_config *config, int argc, char **argv);
int quota_set_run(const struct ctl_config *config, int argc, char **argv);
int quota_unset_run(const struct ctl_config *config, int argc, char **argv);
int quota_refresh_run(const struct ctl_config *config, int argc, char **argv);
int alerts_show_run(const struct ctl_config *config, int argc, char **argv);
int alerts_set_run(const struct ctl_config *config, int argc, char **argv);
int alerts_test_run(const struct ctl_config *config, int argc, char **argv);
int keys_create_run(const struct ctl_config *config, int argc, char **argv);
int keys_list_run(const struct ctl_config *config, int argc, char **argv);
int keys_revoke_run(const struct ctl_config *config, int argc, char **argv);
int customers_list_run(const struct ctl_config *config, int argc, char **argv);
int customers_show_run(const struct ctl_config *config, int argc, char **argv);
int subscriptions_list_run(const struct ctl_config *config, int argc, char **argv);
int subscriptions_show_run(const struct ctl_config *config, int argc, char **argv);
int customers_move_run(const struct ctl_config *config, int argc, char **argv);
int preview_run(const struct ctl_config *config, int argc, char **argv);
int doctor_run(const struct ctl_config *config, int argc, char **argv);
int status_run(const struct ctl_config *config, int argc, char **argv);
int watch_run(const struct ctl_config *config, int argc, char **argv);
int audit_run(const struct ctl_config *config, int argc, char **argv);
int stream_reset_run(const struct ctl_config *config, int argc, char **argv);
int stream_adopt_run(const struct ctl_config *config, int argc, char **argv);
int stream_lost_run(const struct ctl_config *config, int argc, char **argv);
int events_run(const struct ctl_config *config, int argc, char **argv);
int rebuild_run(const struct ctl_config *config, int argc, char **argv);
int rejected_list_run(const struct ctl_config *config, int argc, char **argv);
int rejected_show_run(const struct ctl_config *config, int argc, char **argv);
int rejected_replay_run(const struct ctl_config *config, int argc, char **argv);
int submissions_list_run(const struct ctl_config *config, int argc, char **argv);
int submissions_show_run(const struct ctl_config *config, int argc, char **argv);
int submissions_retry_run(const struct ctl_config *config, int argc, char **argv);
int webhooks_list_run(const struct ctl_config *config, int argc, char **argv);
int webhooks_show_run(const struct ctl_config *config, int argc, char **argv);
int webhooks_replay_run(const struct ctl_config *config, int argc, char **argv);
int messages_list_run(const struct ctl_config *config, int argc, char **argv);
int messages_show_run(const struct ctl_config *config, int argc, char **argv);
int messages_retry_run(const struct ctl_config *config, int argc, char **argv);
int lost_list_run(const struct ctl_config *config, int argc, char **argv);
int lost_accept_run(const struct ctl_config *config, int argc, char **argv);
int late_list_run(const struct ctl_config *config, int argc, char **argv);
int late_carry_run(const struct ctl_config *config, int argc, char **argv);
int late_drop_run(const struct ctl_config *config, int argc, char **argv);
int explain_run(const struct ctl_config *config, int argc, char **argv);
int retention_apply_run(const struct ctl_config *config, int argc, char **argv);
int reshard_run(const struct ctl_config *config, int argc, char **argv);
int reconcile_command_run(const struct ctl_config *config, int argc, char **argv);
int stripe_setup_run(const struct ctl_config *config, int argc, char **argv);
int stripe_sync_run(const struct ctl_config *config, int argc, char **argv);
int metrics_mrr_run(const struct ctl_config *config, int argc, char **argv);
int metrics_arr_run(const struct ctl_config *config, int argc, char **argv);
int metrics_churn_run(const struct ctl_config *config, int argc, char **argv);
int rates_list_run(const struct ctl_config *config, int argc, char **argv);
int rates_set_run(const struct ctl_config *config, int argc, char **argv);
int rates_unset_run(const struct ctl_config *config, int argc, char **argv);
int export_run(const struct ctl_config *config, int argc, char **argv);
int rollup_run(const struct ctl_config *config, int argc, char **argv);
int activation_import_run(const struct ctl_config *config, int argc, char **argv);
int restore_hold_run(const struct ctl_config *config, int argc, char **argv);
int restore_accept_run(const struct ctl_config *config, int argc, char **argv);

/* "meterctl: text" on stderr; returns code, so that `return ctl_fail(CTL_FAILED, …)` reads well. */
int ctl_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same with an error's text; with CTL_UNCHECKED it says first that nothing could be checked. */
int ctl_fail_err(int code, const struct err *e);

/* Connect to PostgreSQL in the role of meterctl, work, and disconnect. Returns what work returns,
 * an exit code; or `unreachable`, an exit code as well, after telling that there is no connection.
 */
typedef int (*ctl_work_fn)(PGconn *conn, void *owner);
int ctl_with_database(const struct ctl_config *config, int unreachable, ctl_work_fn work,
                      void *owner);

/* This command runs from now on: messages about its arguments name it. */
void ctl_begin(const struct ctl_command *command);

/* An argument that the running command does not know, or what it lacks. Both tell, and return -1.
 */
int ctl_fail_argument(const char *word);
int ctl_fail_missing(void);

#endif
