/* The identifier of a submission, which is also its Idempotency-Key. Pure.
 *
 * It is a function of what is billed, so that a claim that is made again after the database was
 * restored gets the same one, and Stripe recognises it. Claims made once the restore was accepted
 * are of another era: they never meet those of the life that was lost. */
#ifndef METERLINE_IDENTIFIER_H
#define METERLINE_IDENTIFIER_H

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

#endif
