/* Verifies the Stripe-Signature header, t=<unix seconds>,v1=<hex>[,v1=<hex>…]: first that it is
 * genuine, then that it is recent. Other schemes are ignored, or an attacker could choose a weaker
 * one. Pure. https://docs.stripe.com/webhooks#verify-manually */
#ifndef METERLINE_WEBHOOKD_SIGNATURE_H
#define METERLINE_WEBHOOKD_SIGNATURE_H

#include <stddef.h>
#include <stdint.h>

enum { SIGNATURE_TOLERANCE_S = 300 };

enum signature {
    SIGNATURE_OK,
    SIGNATURE_MISSING,
    SIGNATURE_MALFORMED, /* no t, no v1, or another form */
    SIGNATURE_WRONG,     /* no v1 was made with any of the secrets */
    SIGNATURE_OLD        /* genuine, but older than the tolerance */
};

/* header: may be NULL. body: the raw bytes. secrets: comma separated; the whole text of each is the
 * key. now_s: Unix seconds. Compares in constant time. Accepts a time in the future, like Stripe's
 * own libraries. */
enum signature signature_verify(const char *header, const char *body, size_t length,
                                const char *secrets, int64_t now_s);

/* What is wrong with it, for the log; static. */
const char *signature_fault(enum signature s);

#endif
