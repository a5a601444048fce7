/* The Stripe-Signature header: t=<unix seconds>,v1=<hex>[,v1=<hex>…]; other schemes are not looked
 * at, or an attacker could choose a weaker one. Pure.
 * https://docs.stripe.com/webhooks#verify-manually */
#ifndef METERLINE_SIGNATURE_H
#define METERLINE_SIGNATURE_H

#include <stddef.h>
#include <stdint.h>

enum { SIGNATURE_TOLERANCE_S = 300 };

enum signature {
    SIGNATURE_OK,
    SIGNATURE_MISSING,
    SIGNATURE_MALFORMED, /* no t, no v1, or not of that form */
    SIGNATURE_WRONG,     /* no v1 fits any secret */
    SIGNATURE_OLD        /* it fits, and was made more than the tolerance ago */
};

/* header: may be NULL. body: the raw bytes as they came. secrets: comma separated, each keyed with
 * its full text. now_s: Unix seconds. Each compare takes constant time. A time in the future is
 * accepted, as Stripe's own libraries do. */
enum signature signature_verify(const char *header, const char *body, size_t length,
                                const char *secrets, int64_t now_s);

/* "missing", "malformed", …; static. */
const char *signature_name(enum signature s);

#endif
