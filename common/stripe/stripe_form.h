/* Bodies and queries as Stripe's API takes them: x-www-form-urlencoded, with brackets for what is
 * nested, such as items[0][price]=price_1 (docs.stripe.com/api). Pure. The order of the parameters
 * is that of the calls, so that the same request is the same bytes, as an idempotency key wants. */
#ifndef METERLINE_STRIPE_FORM_H
#define METERLINE_STRIPE_FORM_H

#include "common/str.h"

#include <stdbool.h>
#include <stdint.h>

/* Zero-initialise. */
struct stripe_form {
    struct buf body;
};

/* key: a printf format; brackets in what is put into it are encoded. value NULL: nothing is added;
 * "": Stripe unsets the parameter. */
void stripe_form_text(struct stripe_form *f, const char *value, const char *key, ...)
    __attribute__((format(printf, 3, 4)));
void stripe_form_i64(struct stripe_form *f, int64_t value, const char *key, ...)
    __attribute__((format(printf, 3, 4)));
void stripe_form_bool(struct stripe_form *f, bool value, const char *key, ...)
    __attribute__((format(printf, 3, 4)));
/* "" if nothing was added. Borrowed. */
const char *stripe_form_body(const struct stripe_form *f);
char *stripe_form_take(struct stripe_form *f); /* malloc'd */
void stripe_form_done(struct stripe_form *f);

#endif
