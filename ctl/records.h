/* Commands for rows that have a state, such as webhook events and messages: list them, show one,
 * and have some worked again. */
#ifndef METERLINE_CTL_RECORDS_H
#define METERLINE_CTL_RECORDS_H

#include "ctl/ctl.h"
#include "ctl/terminal/table.h"

#include <jansson.h>
#include <libpq-fe.h>
#include <stdbool.h>

enum { RECORD_FILTERS = 3 };

struct record_state {
    const char *name;
    const char *meaning; /* what happens to it next, and who acts */
    const char *refused; /* why it cannot be worked again; NULL: it can */
};

struct record_kind {
    const char *one;                   /* "webhook event" */
    const char *several;               /* "events", where it is clear which */
    const char *command;               /* "webhooks" */
    const struct record_state *states; /* ends in one without a name */
    /* Options beside --state, --since and --before; the second one names a tenant. */
    const char *filters[RECORD_FILTERS];
    /* Whether their values are known ones: 0, or -1 after telling. May be NULL. */
    int (*check)(const char *const values[RECORD_FILTERS]);

    /* Parameters: state, the three filters, since, before, an id, how many. Column 0 is the id. */
    const char *list_sql;
    struct table_view view;
    const struct table_column *wide;
    const char
        *body; /* a column of text that is long: shown behind the rest, and in JSON as JSON */
    bool lists_bodies; /* … in lists as JSON, too */
    bool has_ways;     /* one id may have several rows: JSON of one is a list */

    /* Parameters: ids as a JSON array, state, the three filters, since, before. Column 0 is the id.
     */
    const char *redo_sql;
    const char *redone;  /* "replayed" */
    const char *again;   /* "worked again" */
    const char *follows; /* ": webhookd works them within a second" */
    /* Why a row of redo_sql was left as it is. */
    void (*tell_skipped)(const PGresult *rows, int row);
};

/* Each is a command's function. Returns its exit code. */
int records_list(const struct record_kind *kind, const struct ctl_config *config, int argc,
                 char **argv);
int records_show(const struct record_kind *kind, const struct ctl_config *config, int argc,
                 char **argv);
int records_redo(const struct record_kind *kind, const struct ctl_config *config, int argc,
                 char **argv);

#endif
