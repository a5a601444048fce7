/* The identifier of a submission, and the Idempotency-Key that is made of it. Pure.
 *
 * The identifier depends only on what is billed. If the database is restored and a claim is made
 * again, it gets the same identifier, and Stripe recognises the repetition. Claims made after the
 * restore was accepted belong to a new era, so that their identifiers differ from all that were
 * made and lost. */
#ifndef METERLINE_IDENTIFIER_H
#define METERLINE_IDENTIFIER_H

#include "common/str.h"

#include <stddef.h>
#include <stdint.h>

/* "ml-", 64 hexadecimal digits, NUL. Stripe takes 100 characters as identifier, 255 as key. */
#define IDENTIFIER_SIZE 68

struct identifier_parts {
    const char *customer;
    const char *event_name;
    const char *tenant;     /* part of it, as a customer may move to another tenant */
    const char *metric;     /* part of it, as an event name may move to another metric */
    int64_t period_start_s; /* Unix seconds */
    int64_t claim;          /* counts from 1 in each (tenant, metric, period) */
    int64_t era;            /* number of restores that were accepted; 0 is left out of the hash */
};

void identifier_make(const struct identifier_parts *parts, char out[IDENTIFIER_SIZE]);

/* Stripe stores its answer to an idempotency key for a day, refusals too, and gives the same answer
 * again even if the cause was put right. So after a refusal the next try has another key,
 * "<identifier>.<number>", with the same identifier: nothing was taken under the old key. The keys
 * are numbered, so a restored database makes the same ones again. */
#define IDENTIFIER_KEY_MARK '.'

/* Append the key with this number; 0 gives the name itself. name: an identifier, or what is used in
 * its place. */
void identifier_key(const char *name, int64_t spent_keys, struct buf *out);
/* How many bytes of a key are its identifier. */
size_t identifier_length_in_key(const char *key);

#endif
