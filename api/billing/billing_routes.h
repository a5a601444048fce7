/* The routes of customers, checkouts and subscriptions. */
#ifndef METERLINE_API_BILLING_ROUTES_H
#define METERLINE_API_BILLING_ROUTES_H

#include "api/request.h"

extern const struct api_route CUSTOMER_ROUTES[];
extern const struct api_route CHECKOUT_ROUTES[];
extern const struct api_route SUBSCRIPTION_ROUTES[];

/* Handlers of SUBSCRIPTION_ROUTES. */
void subscription_create(struct api_request *r);
void subscription_change(struct api_request *r);
void subscription_cancel(struct api_request *r);
/* A step that both changing and cancelling take. */
struct job;
void subscription_end_with_period(struct job *j);

#endif
