/* Reading Stripe's objects into facts: what the kinds of objects share. */
#ifndef METERLINE_FACTS_H
#define METERLINE_FACTS_H

#include "common/stripe/objects/observation.h"

/* Set a fact, unless the member is null, absent, or of another type. */
void fact_text(struct facts *f, const char *name, const json_t *object, const char *key);
void fact_integer(struct facts *f, const char *name, const json_t *object, const char *key);
void fact_true(struct facts *f, const char *name, const json_t *object, const char *key);
/* {id, percentage, inclusive} of each tax rate in a list; nothing without one. */
void fact_tax_rates(struct facts *f, const json_t *object, const char *key);
/* text may be NULL: nothing. */
void fact_set_text(struct facts *f, const char *name, const char *text);

/* metadata.tenant of any object; NULL without. It may not be usable: see tenant_is_valid. */
const char *metadata_tenant(const json_t *object);
/* 1 to 128 bytes without control characters, the rule of the stream. */
bool tenant_is_valid(const char *tenant);

/* The facts of a price, named as the columns of stripe_prices. A new reference; NULL: no price. */
json_t *price_facts(const json_t *price);

#endif
