/* The identifier of a submission, and its Idempotency-Key, which is made of it. Pure.
 *
 * It is a function of what is billed, so that a claim that is made again after the database was
 * restored gets the same one, and Stripe recognises it. Claims made once the restore was accepted
 * are of another era: they never meet those of the life that was lost. */
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
    const char *tenant; /* a customer may go to another tenant, and an event name to another … */
    const char *metric; /* … metric, whose claims are counted by themselves */
    int64_t period_start_s; /* Unix seconds */
    int64_t claim;          /* counts from 1 in each (tenant, metric, period) */
    int64_t era; /* restores of the database that were accepted; 0 as if it were not here */
};

void identifier_make(const struct identifier_parts *parts, char out[IDENTIFIER_SIZE]);

/* Stripe stores its answer to a key, and a refusal, too: under that key nothing is executed until
 * it is forgotten, a day later, even if what was wrong is right by then. So a try after that has
 * another key, "<identifier>.<number>", while its identifier stays. It was surely not taken, and a
 * database that was restored finds the same keys again, one after the other. */
#define IDENTIFIER_KEY_MARK '.'

/* The key of this number, appended; of 0 the name itself. name: an identifier, or what stands for
 * one. */
void identifier_key(const char *name, int64_t spent_keys, struct buf *out);
/* So much of a key is its identifier. */
size_t identifier_length_in_key(const char *key);

#endif
