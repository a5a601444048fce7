/* v1.billing.meter.error_report_triggered and .no_meter_found: meter events that Stripe accepted
 * with a 2xx and refused later. The submissions that a report names become `failed`, and the sink
 * compares their tenants with Stripe. */
#include "webhookd/work/job.h"

#include "common/log.h"
#include "webhookd/sql.h"

static const char *const ENDINGS[] = {"error_report_triggered", "no_meter_found", NULL};

static int report_parse(struct job *j)
{
    if (meter_report_parse(j->fetched ? j->fetched : j->event.root, &j->report))
        return job_set_why(j, "the report does not say what Stripe refused, and could not "
                              "be fetched: check STRIPE_SECRET_KEY");
    return 0;
}

static enum verdict report_judge(struct job *j)
{
    (void)j;
    return VERDICT_APPLY;
}

static void report_apply(struct job *j, struct statement_list *l)
{
    const struct meter_report *r = &j->report;
    bool others = r->error_count > (int64_t)json_array_size(r->named);
    bool known = others && r->start_s > 0 && r->end_s > 0;
    j->answer_at = l->n;
    statement_list_add(l, SQL_NOTE_METER_ERRORS);
    param_json(l, r->named);
    param_i64_or_null(l, known ? r->start_s : 0);
    param_i64_or_null(l, known ? r->end_s : 0);
}

static void report_log(const struct job *j, const PGresult *answer)
{
    log_warn(meter_errors_reported, LOG_STR("type", j->event.type), LOG_STR("id", j->event.id),
             LOG_STR("meter", j->event.object_id), LOG_I64("errors", j->report.error_count),
             LOG_U64("named", json_array_size(j->report.named)),
             LOG_I64("marked", result_i64(answer, 0, 0)),
             LOG_I64("asked", result_i64(answer, 0, 1)));
}

const struct family METER_REPORT_FAMILY = {.prefix = "v1.billing.meter.",
                                           .endings = ENDINGS,
                                           .path = "v2/core/events",
                                           .is_report = true,
                                           .parse = report_parse,
                                           .judge = report_judge,
                                           .apply = report_apply,
                                           .log_effect = report_log};
