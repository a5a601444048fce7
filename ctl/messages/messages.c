/* meterctl messages list, show and retry: what was to be told, by which way, and what became of it.
 */
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/records.h"
#include "ctl/sql.h"

#include <stdio.h>
#include <string.h>

enum { KIND, TENANT, CHANNEL }; /* the filters */

static const char KIND_CHARS[] = "abcdefghijklmnopqrstuvwxyz_*";

static const struct record_state STATES[] = {
    {"waiting", "a notifier will send it: at next_attempt_at, if it was put off", NULL},
    {"sent", "it was taken: it is in the stream, or mail server or receiver said yes",
     "what was sent is not sent again"},
    {"failed",
     "it was refused for good, or tried for too long, as error says; once the cause is gone, "
     "`meterctl messages retry` has it sent again",
     NULL},
    {NULL, NULL, NULL}};

static const struct table_column COLUMNS[] = {
    {"message_id", TABLE_NAME}, {"channel", TABLE_TEXT}, {"state", TABLE_TEXT},
    {"kind", TABLE_TEXT},       {"tenant", TABLE_NAME},  {"created_at", TABLE_TEXT},
    {"attempts", TABLE_NUMBER}, {"error", TABLE_NOTE},   {NULL, TABLE_TEXT}};
static const struct table_column WIDE[] = {
    {"message_id", TABLE_NAME},  {"channel", TABLE_TEXT},         {"state", TABLE_TEXT},
    {"kind", TABLE_TEXT},        {"tenant", TABLE_NAME},          {"destination", TABLE_NAME},
    {"occurred_at", TABLE_TEXT}, {"created_at", TABLE_TEXT},      {"sent_at", TABLE_TEXT},
    {"attempts", TABLE_NUMBER},  {"next_attempt_at", TABLE_TEXT}, {"error", TABLE_NOTE},
    {NULL, TABLE_TEXT}};

static int check_filters(const char *const values[RECORD_FILTERS])
{
    static const char *const CHANNELS[] = {"signal", "mail", "post"};
    const char *kind = values[KIND];
    if (kind && kind[strspn(kind, KIND_CHARS)])
        return ctl_fail(-1, "--kind must be such as payment_failed or 'payment_*', not %s", kind);
    for (size_t i = 0; i < sizeof CHANNELS / sizeof *CHANNELS; i++)
        if (!values[CHANNEL] || strcmp(values[CHANNEL], CHANNELS[i]) == 0)
            return 0;
    return ctl_fail(-1, "--channel must be one of signal, mail, post, not %s", values[CHANNEL]);
}

static void tell_skipped(const PGresult *rows, int row)
{
    enum { MESSAGE_ID, WAY, STATE };
    printf("skipped %s channel=%s state=%s msg=\"it was sent\"\n", db_text(rows, row, MESSAGE_ID),
           db_text(rows, row, WAY), db_text(rows, row, STATE));
}

static const struct record_kind MESSAGES = {
    .one = "message",
    .several = "messages",
    .command = "messages",
    .states = STATES,
    .filters = {"--kind", "--tenant", "--channel"},
    .check = check_filters,
    .list_sql = SQL_LIST_MESSAGES,
    .view = {.title = "messages, newest first",
             .none = "there are no such messages",
             .columns = COLUMNS},
    .wide = WIDE,
    .body = "data",
    .lists_bodies = true,
    .has_ways = true,
    .redo_sql = SQL_RETRY_MESSAGES,
    .redone = "retried",
    .again = "sent again",
    .follows = ": a notifier sends them at once",
    .tell_skipped = tell_skipped,
};

int messages_list_run(const struct ctl_config *config, int argc, char **argv)
{
    return records_list(&MESSAGES, config, argc, argv);
}

int messages_show_run(const struct ctl_config *config, int argc, char **argv)
{
    return records_show(&MESSAGES, config, argc, argv);
}

int messages_retry_run(const struct ctl_config *config, int argc, char **argv)
{
    return records_redo(&MESSAGES, config, argc, argv);
}
