/* How an object at Stripe differs from the parameters that it should have been made with. Pure. */
#ifndef METERLINE_CTL_SETUP_DIFF_H
#define METERLINE_CTL_SETUP_DIFF_H

#include <jansson.h>
#include <stdbool.h>

/* wanted: parameters; found: the object, which has them by the same names. What wanted does not
 * name is not looked at. Amounts compare as decimals, lists of words without their order; null or
 * "" want nothing. Returns a list of {"top", "text": "recurring.interval month to year"}, where top
 * is the parameter that the path begins with; the caller's. */
json_t *setup_diff(const json_t *wanted, const json_t *found);

const char *setup_diff_top(const json_t *difference);
/* Is it one of these, which end in NULL? */
bool setup_diff_is_below(const json_t *difference, const char *const *names);
/* Drops those below a parameter. */
void setup_diff_forget(json_t *differences, const char *name);

#endif
