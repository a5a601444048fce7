/* A request that changes what a tenant has at Stripe, step by step, under the tenant's lock.
 *
 *      lock -> read -> resume what was begun -> the route's steps -> hint -> shown -> answered
 *       ^        ^              |
 *       |        +--------------+ its outcome is known now
 *       +-- another request has it
 *
 * Each POST is noted in stripe_operations before it goes out. If we die, or no answer comes, the
 * tenant's next request finds it open and sends it again with the same key and bytes, so that
 * Stripe tells what became of it. After KEY_LIFE_S Stripe has forgotten the key: then what it was
 * to make is looked for, by the key in its metadata. Only when nothing is open any more do the
 * steps of a route begin, so that they plan with what is true.
 *
 * webhookd alone writes what Stripe tells: at the end it gets a hint of each object that was
 * changed, and we wait up to HINT_WAIT_MS for it. What is answered is what it has stored, or else
 * Stripe's own object, marked `pending`.
 *
 * Failure modes. A step fails: the request is answered by stripe_fault.h, the lock is given back,
 * and a repetition goes on from what is true then. PostgreSQL fails: 503 likewise. The lock was
 * lost, since this process stood still: nothing more is sent. */
#ifndef METERLINE_API_JOB_H
#define METERLINE_API_JOB_H

#include "api/request.h"
#include "api/stripe/operation.h"
#include "api/stripe/stripe_fault.h"
#include "api/stripe/stripe_work.h"
#include "common/stripe/stripe_form.h"

#include <jansson.h>
#include <stdbool.h>

struct job;
typedef void (*job_fn)(struct job *j);
typedef void (*job_object_fn)(struct job *j, json_t *object);

enum { JOB_HINTS_MAX = 3 };

/* An object that webhookd is to look at. Owned. */
struct job_hint {
    char event_id[48];
    char *type;
    char *object;
    char *payload;
};

struct job {
    struct api_request *r;
    struct stripe_work *work;
    char *tenant;
    char owner[UUID_TEXT_SIZE];
    char digest[OPERATION_DIGEST_SIZE];
    char plan[65];    /* that the request is about; "": none */
    int64_t begun_ms; /* monotonic */
    int64_t until_ms; /* of what is waited for now */
    uint64_t wait_ms;
    bool has_lock;
    json_t *state; /* read_stripe_state.sql */
    job_fn begin;  /* the route's first step */

    /* The call under way. */
    char key[OPERATION_KEY_SIZE];
    job_object_fn done;
    job_fn refused;       /* in place of answering; NULL: answer */
    bool missing_is_fine; /* of a GET or DELETE: done with NULL */
    char *path;           /* of a POST or DELETE, while it is noted or the lock looked at; owned */
    char *body;
    json_t *object; /* its answer, while that is noted */
    struct stripe_fault fault;
    json_t *resumed; /* the open operation that is sent again; borrowed from state */

    /* What the routes keep (api/billing/steps.h); owned. */
    char *customer;
    json_t *subscription;
    json_t *prices;
    json_t *lookup_keys; /* of prices that are not fetched yet */
    json_t *schedule;
    json_t *live;             /* subscriptions that have not ended */
    json_t *kept;             /* of one route */
    char *interval;           /* of the plan that is wished */
    struct stripe_fault held; /* of a step that is to be undone */
    json_t *known;            /* prices that are a plan's; borrowed from state */
    char *newest_entry;       /* of the stream, when it was asked for */
    json_t *sessions;         /* ids of checkouts that are to end */
    json_t *checkout;         /* the one that stays */
    bool (*keeps)(const struct job *j, const json_t *session);
    job_fn after_customer; /* where each step goes on */
    job_fn no_customer;
    job_fn after_list;
    job_fn after_live;
    job_fn after_prices;
    job_fn after_checkouts;
    job_fn after_release;
    job_fn next;

    /* The end. */
    struct job_hint hints[JOB_HINTS_MAX];
    int hints_n;
    const char *shown_sql;
    char *shown_id; /* its second parameter; NULL: it has one alone */
    json_t *view;   /* what is answered if nothing is shown; owned */
    json_t *extra;  /* laid over the answer; owned */
    int status;
};

/* Takes r; begin is called once the lock is ours, nothing is open, and j->state is read. plan:
 * whose row is read too; NULL: none. */
void job_start(struct api_request *r, const char *plan, job_fn begin);

/* GET or DELETE, which is sent only if the lock is still ours. done gets Stripe's object, borrowed.
 * form: query; taken; of a GET it may be NULL. */
void job_get(struct job *j, const char *path, struct stripe_form *form, job_object_fn done);
void job_delete(struct job *j, const char *path, struct stripe_form *form, job_object_fn done);
/* POST. operation: static. form: taken. is_marked: the object that it makes takes metadata, and
 * carries the key there. */
void job_post(struct job *j, const char *operation, const char *path, struct stripe_form *form,
              bool is_marked, job_object_fn done);
/* A pause of the job, after which it goes on, unless everything is closed. */
void job_pause(struct job *j, uint64_t ms, job_fn next);

/* The object that this request made by that operation in an earlier try; NULL: none. Borrowed. */
const char *job_made(const struct job *j, const char *operation);
void job_fail(struct job *j, int status, const char *code, const char *param, const char *format,
              ...) __attribute__((format(printf, 5, 6)));
void job_fail_by(struct job *j, const struct stripe_fault *fault);

/* webhookd is to look at it. kind: "customer", "customer.subscription", "invoice". */
void job_hint(struct job *j, const char *kind, const char *id);
/* Waits for webhookd, and answers with what show finds ($1 the tenant; $2 id, if it is not NULL).
 * view: taken; answered with `pending` if that shows nothing yet. extra: taken, laid over either;
 * may be NULL. */
void job_finish(struct job *j, int status, const char *show, const char *id, json_t *view,
                json_t *extra);
/* Answers with that alone. Taken. */
void job_answer(struct job *j, int status, json_t *body);

/* Shared with resume.c and job_end.c. */
struct job *job_of(const struct api_request *r);
uint64_t job_next_wait_ms(struct job *j);
void job_read_state(struct job *j);
void job_end_operation(struct job *j, const char *key, const char *state, const char *object,
                       const char *error, api_sql_fn done);
void job_resume(struct job *j, json_t *open);
void job_look_at_lock(struct job *j, api_sql_fn done);
/* held: its answer. Returns true if it was answered that the lock is lost, or all is closing. */
bool job_fail_if_taken_over(struct job *j, const PGresult *held);
enum { JOB_KEY_LIFE_S = 23 * 3600, JOB_WAIT_FIRST_MS = 20 };

#endif
