#include "webhookd/work/job.h"

#include "common/str.h"
#include "webhookd/sql.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const json_t *job_object(const struct job *j)
{
    return j->fetched ? j->fetched : j->event.object;
}

int job_set_why(struct job *j, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)!vsnprintf(j->why, sizeof j->why, format, args);
    va_end(args);
    return -1;
}

enum verdict job_judge(struct job *j, enum verdict verdict, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)!vsnprintf(j->why, sizeof j->why, format, args);
    va_end(args);
    return verdict;
}

enum verdict job_judge_stale(struct job *j, enum event_age age)
{
    return job_judge(j, age == EVENT_UNCLEAR ? VERDICT_UNCLEAR : VERDICT_IGNORE,
                     "stale: the stored state is newer");
}

enum verdict job_judge_tenant(struct job *j)
{
    if (tenant_is_valid(j->tenant))
        return VERDICT_APPLY;
    return job_judge(j, VERDICT_IGNORE,
                     "metadata.tenant is longer than 128 bytes or not plain text");
}

enum verdict job_judge_other_customer(struct job *j, enum verdict verdict)
{
    return job_judge(j, verdict,
                     "tenant %.60s already has the customer %.60s: delete that one at Stripe and "
                     "then change this one's metadata, or correct this one's metadata.tenant",
                     j->tenant, j->other_customer);
}

void job_set_text(char **field, const char *text)
{
    char *copy = text ? xstrdup(text) : NULL;
    free(*field);
    *field = copy;
}

static void forget_stored(struct job *j)
{
    free(j->stored.tenant);
    free(j->stored.email);
    free(j->stored_subscription.tenant);
    free(j->stored_subscription.state);
    j->stored = (struct stored_customer){0};
    j->stored_subscription = (struct stored_subscription){0};
    job_set_text(&j->other_customer, NULL);
}

void job_done(struct job *j)
{
    forget_stored(j);
    subscription_object_done(&j->subscription);
    meter_report_done(&j->report);
    json_decref(j->fetched);
    json_decref(j->fetched_customer);
    free(j->customer_id);
    free(j->tenant);
    stripe_event_done(&j->event);
    memset(j, 0, sizeof *j);
}

void job_add_reads(const struct job *j, struct statement_list *l)
{
    statement_list_add(l, SQL_LOCK_TENANT);
    param_text(l, j->tenant);
    statement_list_add(l, SQL_READ_CUSTOMERS);
    param_text(l, j->customer_id);
    param_text(l, j->tenant);
    statement_list_add(l, SQL_READ_SUBSCRIPTION);
    param_text(l, j->subscription.id ? j->subscription.id : "");
}

static void take_customer(struct job *j, const PGresult *r, int row)
{
    bool deleted = result_i64(r, row, 2) != 0;
    if (strcmp(result_text(r, row, 0), j->customer_id) == 0) {
        j->stored.known = true;
        j->stored.deleted = deleted;
        j->stored.created_s = result_i64(r, row, 3);
        job_set_text(&j->stored.tenant, result_text(r, row, 1));
        job_set_text(&j->stored.email, result_text(r, row, 4));
    } else if (!deleted) {
        job_set_text(&j->other_customer, result_text(r, row, 0));
    }
}

void job_take_reads(struct job *j, PGresult **results)
{
    forget_stored(j);
    for (int row = 0; row < PQntuples(results[1]); row++)
        take_customer(j, results[1], row);
    const PGresult *r = results[2];
    if (PQntuples(r) == 0)
        return;
    j->stored_subscription.known = true;
    job_set_text(&j->stored_subscription.tenant, result_text(r, 0, 0));
    j->stored_subscription.final = result_i64(r, 0, 1) != 0;
    j->stored_subscription.created_s = result_i64(r, 0, 2);
    job_set_text(&j->stored_subscription.state, result_text(r, 0, 3));
}

void job_add_history(const struct job *j, struct statement_list *l, const json_t *detail)
{
    statement_list_add(l, SQL_WRITE_HISTORY);
    param_text(l, j->tenant);
    param_text(l, j->event.type);
    param_text(l, j->event.object_id);
    param_text(l, j->event.id);
    param_json(l, detail);
}
