/* Submissions: what the sink sends to Stripe, and what a person may do about each. */
#ifndef METERLINE_CTL_SUBMISSIONS_H
#define METERLINE_CTL_SUBMISSIONS_H

#include "common/err.h"
#include "ctl/selection.h"
#include "ctl/terminal/table.h"

#include <jansson.h>
#include <libpq-fe.h>
#include <stdbool.h>

struct submission_state {
    const char *name;
    const char *meaning; /* what happens to it next, and who acts */
};

extern const struct submission_state SUBMISSION_STATES[]; /* ends in one without a name */

/* The meaning of an existing state. */
const char *submission_meaning(const char *state);

/* What list_submissions.sql finds, printed as a list. values: the statement's seven parameters.
 * bodies: JSON has the body of each. Returns the exit code. */
int submissions_print(PGconn *conn, const char *const values[7], bool bodies, bool json,
                      struct table_view view);

/* What late and retry share. */

/* Say which of the named identifiers are not in rows (column 0). */
void selection_tell_unknown(const struct selection *s, const PGresult *rows);

/* The exit code after `done` of `found` rows were changed; without --yes, after saying that they
 * would have been. */
int selection_code(const struct selection *s, int found, int done);

#endif
