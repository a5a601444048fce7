/* What is to be done at Stripe, so that what is there becomes what should be there. Pure.
 *
 *     {"action", "kind", "name", "id", "why": […], "params", "needs", …}
 *
 * action: what becomes of an object of setup_catalog():
 *
 *   create   it is not there
 *   change   id is there, and differs in what may change; params are just that
 *   replace  id is there, and differs in what Stripe never changes: another one is made, which
 * takes the lookup key over; id stays for those who have it keep     id is there, as it should be;
 * why may have a remark warn     it cannot be done, or is not ours to do; why says what a person
 * may do. id: if there is one all the same
 *
 * Nothing is ever deleted, and what is not ours is only touched with adopt. */
#ifndef METERLINE_CTL_SETUP_PLAN_H
#define METERLINE_CTL_SETUP_PLAN_H

#include <jansson.h>
#include <stdbool.h>

/* The endpoint's secret, which Stripe tells only when it makes one. */
enum setup_secret {
    SECRET_NONE,
    SECRET_PENDING, /* it was asked for, and the answer not received or not stored */
    SECRET_KEPT     /* it is in its file */
};

struct setup_terms {
    bool adopt; /* what has the name of ours becomes ours */
    enum setup_secret secret;
};

/* How a kind of object is asked for, by the index of its kind. */
struct setup_kind {
    const char *name;              /* "price" */
    const char *path;              /* "/v1/prices" */
    const char *const *changeable; /* parameters, ends in NULL; others are never changed */
};
extern const struct setup_kind SETUP_KINDS[];
enum { SETUP_N_KINDS = 6 };
const struct setup_kind *setup_kind_of(const char *name);

/* objects: of setup_catalog. present: a list for each kind, {"product": […], …}, as Stripe shows
 * them, numbers as by json_exact.h. Returns a step for each object, in their order; the caller's.
 */
json_t *setup_plan(const json_t *objects, const json_t *present, struct setup_terms terms);

/* Does anything differ? Steps other than keep. */
bool setup_plan_differs(const json_t *steps);

#endif
