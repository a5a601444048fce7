/* Steps that several routes of billing take. Each goes on with next, or answers why it cannot. */
#ifndef METERLINE_API_STEPS_H
#define METERLINE_API_STEPS_H

#include "api/billing/offer.h"
#include "api/stripe/job.h"

/* j->customer is the tenant's customer at Stripe; made if there is none. */
void steps_find_customer(struct job *j, job_fn next);
/* The same; 409 if there is none. */
void steps_need_customer(struct job *j, job_fn next);
/* The same; otherwise if there is none. Each of them: 409 if two customers claim the tenant. */
void steps_use_customer(struct job *j, job_fn next, job_fn otherwise);

/* j->live is the list of the customer's subscriptions that have not ended, as Stripe has it. */
void steps_list_live(struct job *j, job_fn next);
/* Answers 409 with what stands. */
void steps_fail_live(struct job *j);
/* Of that list: see steps_need_live. */
void steps_pick_live(struct job *j, job_fn next);
/* j->subscription is the one live subscription, or the one that the parameter `subscription` of the
 * route names, with all its items; 409 if there is none. */
void steps_need_live(struct job *j, job_fn next);

/* j->prices are those of j->state's plan for the interval (NULL: its own). */
void steps_fetch_prices(struct job *j, const char *interval, job_fn next);
/* The plan as Stripe sells it. Returns -1 after it has answered why it does not. */
int steps_read_offer(struct job *j, const char *interval, struct offer *out);

/* Open checkouts of the customer end; but the first one that keep likes stays, as j->checkout.
 * Stripe is asked only if we have made one that can still be open. 409 if Stripe does not end one
 * that is open. What one that was paid meanwhile has made is seen by listing after this. */
void steps_expire_checkouts(struct job *j, bool (*keep)(const struct job *j, const json_t *session),
                            job_fn next);

/* Days of trial of a new subscription. The route has a parameter trial_days. */
int64_t steps_trial_days(const struct job *j);

/* A URL that a browser can be sent to. */
bool steps_is_url(const char *text);

#endif
