/* The identifier of a submission, which is also its Idempotency-Key. Pure.
 *
 * It is a function of what is billed, so that a claim that is made again after the database was
 * restored gets the same one, and Stripe recognises it. */
#ifndef METERLINE_SINK_IDENTIFIER_H
#define METERLINE_SINK_IDENTIFIER_H

#include <stdint.h>

/* "ml-", 64 hexadecimal digits, NUL. Stripe takes 100 characters as identifier, 255 as key. */
#define IDENTIFIER_SIZE 68

/* period_start_s: Unix seconds. claim: counts from 1 in each (customer, event name, period). */
void identifier_make(const char *customer, const char *event_name, int64_t period_start_s,
                     int64_t claim, char out[IDENTIFIER_SIZE]);

#endif
