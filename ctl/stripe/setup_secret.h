/* The file that the signing secret of a webhook endpoint goes to. Stripe tells a secret once, so
 * the intent is noted first, in FILE.asked: a run that was killed after Stripe's answer asks again
 * by the same idempotency key, and gets the same answer (for a day). */
#ifndef METERLINE_CTL_SETUP_SECRET_H
#define METERLINE_CTL_SETUP_SECRET_H

#include "common/err.h"
#include "ctl/stripe/setup_plan.h"

enum { SETUP_SALT_SIZE = 33 };

enum setup_secret setup_secret_of(const char *file);

/* Before Stripe is asked: notes the intent, or finds the one that is noted. salt: random text, to
 * be part of the idempotency key. Returns 0, or -1 with e. */
int setup_secret_begin(const char *file, char salt[SETUP_SALT_SIZE], struct err *e);

/* Writes the file with mode 0600: the new secret, and behind a comma those that were in it. The
 * intent is done. Returns 0, or -1 with e. */
int setup_secret_end(const char *file, const char *secret, struct err *e);

#endif
