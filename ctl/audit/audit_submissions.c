/* Each submission against itself: its identifier and its body are made of the row, and made here
 * once more. So a quantity, a minute, a customer or a body that was altered alone shows. */
#include "common/stripe/identifier.h"
#include "common/stripe/usage_body.h"
#include "ctl/audit/audit.h"
#include "ctl/db.h"
#include "ctl/sql.h"

#include <string.h>

enum { FINDINGS_MAX = 10 };

/* Columns of audit_submissions.sql. */
enum {
    IDENTIFIER,
    TENANT,
    METRIC,
    TRANSPORT,
    CUSTOMER,
    EVENT_NAME,
    ITEM,
    PERIOD_START,
    CLAIM,
    USAGE_AT,
    QUANTITY,
    BODY,
    FOUND
};

struct walk {
    json_t *findings;
    int64_t eras; /* restores that were accepted: an identifier is of one of them, or of none */
    struct buf body;
};

static bool is_made_of_row(const struct walk *w, const PGresult *row)
{
    char made[IDENTIFIER_SIZE];
    struct identifier_parts parts = {
        .customer = db_text(row, 0, CUSTOMER),
        .event_name = db_text(row, 0, EVENT_NAME),
        .tenant = db_text(row, 0, TENANT),
        .metric = db_text(row, 0, METRIC),
        .period_start_s = db_i64(row, 0, PERIOD_START),
        .claim = db_i64(row, 0, CLAIM),
    };

    for (parts.era = w->eras; parts.era >= 0; parts.era--) {
        identifier_make(&parts, made);
        if (strcmp(made, db_text(row, 0, IDENTIFIER)) == 0)
            return true;
    }
    return false;
}

static bool is_body_of_row(struct walk *w, const PGresult *row)
{
    const char *quantity = db_text(row, 0, QUANTITY);
    struct usage usage = {
        .event_name = db_text(row, 0, EVENT_NAME),
        .customer = db_text(row, 0, CUSTOMER),
        .subscription_item = db_text(row, 0, ITEM),
        .identifier = db_text(row, 0, IDENTIFIER),
        .usage_at_s = db_i64(row, 0, USAGE_AT),
    };

    buf_clear(&w->body);
    return dec_parse(quantity, strlen(quantity), &usage.quantity) == 0 &&
           usage_body_make(db_text(row, 0, TRANSPORT), &w->body, &usage) &&
           strcmp(w->body.data, db_text(row, 0, BODY)) == 0;
}

static const char *fault_of(struct walk *w, const PGresult *row)
{
    const char *found = db_text(row, 0, FOUND);

    if (found && strcmp(found, db_text(row, 0, IDENTIFIER)) != 0)
        return "its identifier is not of its row";
    if (found)
        return *db_text(row, 0, BODY) ? "its body is not of its row" : NULL;
    if (!is_made_of_row(w, row))
        return "its identifier is not of its row";
    return is_body_of_row(w, row) ? NULL : "its body is not of its row";
}

static void check_row(void *owner, const PGresult *row)
{
    struct walk *w = owner;

    if (json_array_size(w->findings) == FINDINGS_MAX)
        return;
    const char *what = fault_of(w, row);
    if (what)
        json_array_append_new(w->findings, json_pack("{s:s, s:s, s:s, s:s}", "identifier",
                                                     db_text(row, 0, IDENTIFIER), "tenant",
                                                     db_text(row, 0, TENANT), "metric",
                                                     db_text(row, 0, METRIC), "what", what));
}

int audit_submissions(PGconn *conn, json_t *findings, struct err *e)
{
    struct walk w = {.findings = findings};
    PGresult *era = db_query(conn, SQL_READ_CLAIM_ERA, 0, NULL, e);

    if (!era)
        return -1;
    w.eras = db_i64(era, 0, 0);
    PQclear(era);
    int failed = db_each(conn, SQL_AUDIT_SUBMISSIONS, DB_TEXT, check_row, &w, e);
    buf_done(&w.body);
    return failed;
}
