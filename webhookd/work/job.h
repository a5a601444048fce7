/* One event being worked: what it says, what Stripe says, what is stored, and what is to be done.
 * The worker moves it along; customer.c and subscription.c, one for each family of events, judge it
 * and write its effect. */
#ifndef METERLINE_JOB_H
#define METERLINE_JOB_H

#include "webhookd/receive/stripe_event.h"
#include "webhookd/statement_list.h"
#include "webhookd/work/event_rules.h"
#include "webhookd/work/stripe_objects.h"

#include <stdbool.h>
#include <stdint.h>

enum { WHY_MAX_BYTES = 200 };

enum verdict {
    VERDICT_APPLY,   /* write the effect */
    VERDICT_IGNORE,  /* nothing to do, for the reason in why */
    VERDICT_FAIL,    /* a person must look, for the reason in why */
    VERDICT_UNCLEAR, /* stale, or ahead of an event that is still to come */
    VERDICT_CUSTOMER /* the customer must be known first: fetch it, or wait for its event */
};

struct stored_customer {
    bool known;
    bool deleted;
    int64_t created_s; /* of the event it comes from; -1: of none */
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
    int64_t attempts; /* before this one */
    json_t *fetched;  /* the object as fetched; NULL: as in the event */
    json_t *
        fetched_customer; /* of a subscription, where its tenant was not known otherwise; {}: 404 */
    bool asking_customer; /* the fetch in flight is of that one */
    char *customer_id;
    char *tenant;                            /* NULL until one is found */
    struct customer_object customer;         /* of the customer family */
    struct subscription_object subscription; /* of the subscription family */
    struct stored_customer stored;           /* the mapping of customer_id */
    struct stored_subscription stored_subscription;
    char *holder;               /* another customer, not deleted, that has the tenant */
    struct meter_report report; /* of the meter report family */
    int answer_at;              /* index of the statement whose answer the family tells of */
    char why[WHY_MAX_BYTES];
};

/* A family of events: which there are, and what they do. */
struct family {
    const char *prefix;      /* of the types, "customer." */
    const char *const *ends; /* of them, {"created", …, NULL} */
    const char *path;        /* of the API, "v1/customers" */
    /* Of no one customer: nothing is locked or read, and what is fetched is the event itself, if
     * what was delivered of it cannot be read. */
    bool is_report;
    /* Read the object (fetched or the event's) into the job: customer_id, tenant. Called again
     * after each fetch. Returns -1 with why if it cannot be understood. */
    int (*read)(struct job *j);
    /* What to do, now that all is read under the locks. */
    enum verdict (*judge)(struct job *j);
    /* Append the statements of the effect. */
    void (*apply)(struct job *j, struct script *s);
    /* After COMMIT: log what answer says. NULL: nothing. */
    void (*tell)(const struct job *j, const PGresult *answer);
};

/* The families that there are, each in a file of its own. */
extern const struct family CUSTOMER_FAMILY;
extern const struct family SUBSCRIPTION_FAMILY;
extern const struct family INVOICE_FAMILY;
extern const struct family METER_REPORT_FAMILY;

/* The object to go by. */
const json_t *job_object(const struct job *j);
/* Fill why; returns -1. */
int job_say(struct job *j, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Replace an owned text; NULL clears it. */
void job_set(char **field, const char *text);
void job_done(struct job *j);

/* Append the statements that read what is stored of the customer, the tenant and the subscription,
 * and take their answers (results: from the first of the three on). */
void job_add_reads(const struct job *j, struct script *s);
void job_take_reads(struct job *j, PGresult **results);
/* The verdict on an event that is no news. */
enum verdict job_say_stale(struct job *j, enum order_answer answer);
/* Append a line of the tenant's billing history. */
void job_add_history(const struct job *j, struct script *s, const json_t *detail);

#endif
