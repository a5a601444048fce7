/* Submissions: what the sink hands to Stripe, and what a person may do about each. */
#ifndef METERLINE_CTL_SUBMISSIONS_H
#define METERLINE_CTL_SUBMISSIONS_H

#include <jansson.h>
#include <libpq-fe.h>

struct err;

struct submission_state {
    const char *name;
    const char *meaning; /* what becomes of it, and by whom */
};

extern const struct submission_state SUBMISSION_STATES[]; /* ends in one without a name */

/* The meaning of a state that there is. */
const char *submission_meaning(const char *state);

/* Rows of list_submissions.sql as findings; values: its seven parameters. The caller's to
 * json_decref; NULL with e. */
json_t *submissions_read(PGconn *conn, const char *const values[7], struct err *e);

#endif
