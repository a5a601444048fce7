/* Signs what is posted, as Stripe signs its webhooks (docs.stripe.com/webhooks/signature), so that
 * who can verify those can verify these: HMAC-SHA256 of "<t>.<body>". Pure. */
#ifndef METERLINE_POST_SIGNATURE_H
#define METERLINE_POST_SIGNATURE_H

#include <stddef.h>
#include <stdint.h>

#define POST_SIGNATURE_SIZE 96

/* The value of the header: "t=<unix_s>,v1=<64 hex digits>". secret: NUL-terminated, all of it is
 * the key. */
void post_signature(const char *secret, int64_t unix_s, const char *body, size_t length,
                    char out[POST_SIGNATURE_SIZE]);

#endif
