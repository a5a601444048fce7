/* meterctl webhooks list, show and replay: what Stripe sent, and what became of it. */
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/records.h"
#include "ctl/sql.h"

#include <stdio.h>
#include <string.h>

enum { TYPE, TENANT, CUSTOMER }; /* the filters */

static const char TYPE_CHARS[] = "abcdefghijklmnopqrstuvwxyz0123456789_.*";

#define REPLAYABLE "only events that failed or were ignored can be worked again"

static const struct record_state STATES[] = {
    {"received", "webhookd will work it: at next_attempt_at, if it was put off", REPLAYABLE},
    {"processed", "its effect is in the database", REPLAYABLE},
    {"ignored", "it has no effect, as error says; `meterctl webhooks replay` has it worked again",
     NULL},
    {"failed",
     "it could not be worked, as error says; once the cause is gone, `meterctl webhooks replay` "
     "has "
     "it worked again",
     NULL},
    {NULL, NULL, NULL}};

static const struct table_column COLUMNS[] = {
    {"event_id", TABLE_NAME},   {"state", TABLE_TEXT},  {"type", TABLE_TEXT},
    {"tenant", TABLE_NAME},     {"object", TABLE_NAME}, {"received_at", TABLE_TEXT},
    {"attempts", TABLE_NUMBER}, {"error", TABLE_NOTE},  {NULL, TABLE_TEXT}};
static const struct table_column WIDE[] = {
    {"event_id", TABLE_NAME},   {"state", TABLE_TEXT},           {"type", TABLE_TEXT},
    {"tenant", TABLE_NAME},     {"customer", TABLE_NAME},        {"object", TABLE_NAME},
    {"created_at", TABLE_TEXT}, {"received_at", TABLE_TEXT},     {"processed_at", TABLE_TEXT},
    {"attempts", TABLE_NUMBER}, {"next_attempt_at", TABLE_TEXT}, {"error", TABLE_NOTE},
    {NULL, TABLE_TEXT}};

static int check_filters(const char *const values[RECORD_FILTERS])
{
    const char *type = values[TYPE];
    const char *customer = values[CUSTOMER];
    if (type && type[strspn(type, TYPE_CHARS)])
        return ctl_fail(-1, "--type must be such as invoice.paid or 'invoice.*', not %s", type);
    if (customer && strncmp(customer, "cus_", 4) != 0)
        return ctl_fail(-1, "--customer must be the customer's id at Stripe, cus_…, not %s",
                        customer);
    return 0;
}

static void tell_skipped(const PGresult *rows, int row)
{
    enum { EVENT_ID, STATE, HAS_PAYLOAD };
    printf("skipped %s state=%s msg=\"%s\"\n", db_text(rows, row, EVENT_ID),
           db_text(rows, row, STATE),
           *db_text(rows, row, HAS_PAYLOAD) == 't'
               ? REPLAYABLE
               : "its body is past its keep: have Stripe send it again");
}

static const struct record_kind EVENTS = {
    .one = "webhook event",
    .several = "events",
    .command = "webhooks",
    .states = STATES,
    .filters = {"--type", "--tenant", "--customer"},
    .check = check_filters,
    .list_sql = SQL_LIST_WEBHOOKS,
    .view = {.title = "webhook events, newest first",
             .none = "there are no such events",
             .columns = COLUMNS},
    .wide = WIDE,
    .body = "payload",
    .redo_sql = SQL_REPLAY_WEBHOOKS,
    .redone = "replayed",
    .again = "worked again",
    .follows = ": webhookd works them within a second",
    .tell_skipped = tell_skipped,
};

int webhooks_list_run(const struct ctl_config *config, int argc, char **argv)
{
    return records_list(&EVENTS, config, argc, argv);
}

int webhooks_show_run(const struct ctl_config *config, int argc, char **argv)
{
    return records_show(&EVENTS, config, argc, argv);
}

int webhooks_replay_run(const struct ctl_config *config, int argc, char **argv)
{
    return records_redo(&EVENTS, config, argc, argv);
}
