/* The job of a worker: one webhook event, what Stripe says of its object, what is stored of it, and
 * what is to be done. event_work.c moves a job along. What an event means is up to its family:
 * customer.c, subscription.c, invoice.c and meter_report.c each hold one. */
#ifndef METERLINE_WEBHOOKD_JOB_H
#define METERLINE_WEBHOOKD_JOB_H

#include "webhookd/receive/stripe_event.h"
#include "webhookd/statement_list.h"
#include "webhookd/work/event_rules.h"
#include "webhookd/work/stripe_objects.h"

#include <stdbool.h>
#include <stdint.h>

enum { WHY_MAX_BYTES = 320 };

enum verdict {
    VERDICT_APPLY,         /* write the effect */
    VERDICT_IGNORE,        /* nothing to do, for the reason in why */
    VERDICT_FAIL,          /* a person must look at it, for the reason in why */
    VERDICT_UNCLEAR,       /* stale, or its predecessor is still to come */
    VERDICT_NEEDS_CUSTOMER /* only the customer tells the tenant: fetch it, or wait for its event */
};

struct stored_customer {
    bool known;
    bool deleted;
    int64_t created_s; /* of the event it comes from; -1: of no event */
    char *tenant;
    char *email;
};

struct stored_subscription {
    bool known;
    bool final;
    int64_t created_s;
    char *tenant;
    char *state; /* a fingerprint; see stripe_objects.h */
};

struct job {
    struct stripe_event event;
    const struct family *family;
    int64_t attempts;         /* before this one */
    int64_t received_ms;      /* monotonic */
    json_t *fetched;          /* the object as fetched; NULL: as in the event */
    json_t *fetched_customer; /* fetched because nothing else named the tenant; {}: 404 */
    bool fetching_customer;   /* the fetch in flight is that one */
    char *customer_id;
    char *tenant;                            /* NULL until one is found */
    struct customer_object customer;         /* of the customer family */
    struct subscription_object subscription; /* of the subscription family */
    struct meter_report report;              /* of the meter report family */
    struct stored_customer stored;           /* the mapping of customer_id */
    struct stored_subscription stored_subscription;
    char *other_customer; /* id of another customer, not deleted, that has the tenant */
    int answer_at;        /* index of the statement whose answer log_effect gets */
    char why[WHY_MAX_BYTES];
};

/* A family of events: its types, and what they do. */
struct family {
    const char *prefix;         /* of the types, "customer." */
    const char *const *endings; /* of them, {"created", …, NULL} */
    const char *path;           /* of the API, "v1/customers" */
    /* Reports concern no single customer, so nothing is locked or read for them. The event itself
     * is fetched, and only if the delivered one carries no data. */
    bool is_report;
    /* Parse the object (fetched, or the event's) into the job: customer_id, tenant and its own
     * part. Called again after each fetch. Returns -1 with why if it cannot be understood. */
    int (*parse)(struct job *j);
    /* What to do, now that everything was read under the locks. */
    enum verdict (*judge)(struct job *j);
    /* Append the statements of the effect. */
    void (*apply)(struct job *j, struct statement_list *l);
    /* After COMMIT: log what the answer says. NULL: nothing. */
    void (*log_effect)(const struct job *j, const PGresult *answer);
};

extern const struct family CUSTOMER_FAMILY;
extern const struct family SUBSCRIPTION_FAMILY;
extern const struct family INVOICE_FAMILY;
extern const struct family METER_REPORT_FAMILY;

/* The object to go by. */
const json_t *job_object(const struct job *j);
/* Fill why; returns -1. */
int job_set_why(struct job *j, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Replace an owned text; NULL clears it. */
void job_set_text(char **field, const char *text);
void job_done(struct job *j);

/* Append the statements that read what is stored of the customer, the tenant and the subscription,
 * and take their answers (results: from the first of the three on). */
void job_add_reads(const struct job *j, struct statement_list *l);
void job_take_reads(struct job *j, PGresult **results);
/* The verdict, with its reason in why. */
enum verdict job_judge(struct job *j, enum verdict verdict, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Judgements that several families share. Stale: the event is no news. Tenant: VERDICT_APPLY if the
 * tenant is usable. Other customer: another customer has the tenant. */
enum verdict job_judge_stale(struct job *j, enum event_age age);
enum verdict job_judge_tenant(struct job *j);
enum verdict job_judge_other_customer(struct job *j, enum verdict verdict);
/* Append a line of the tenant's billing history. */
void job_add_history(const struct job *j, struct statement_list *l, const json_t *detail);

#endif
