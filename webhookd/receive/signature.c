#include "webhookd/receive/signature.h"

#include "common/str.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>

enum { HEX_LENGTH = 2 * crypto_auth_hmacsha256_BYTES, TIME_MAX_DIGITS = 15 };

/* A part of a comma separated list; not NUL-terminated. */
struct part {
    const char *text;
    size_t length;
};

/* The next part at *at, or false at the end of the list. */
static bool next_part(const char **at, struct part *out)
{
    if (!*at)
        return false;
    out->text = *at;
    out->length = strcspn(*at, ",");
    *at = (*at)[out->length] == ',' ? *at + out->length + 1 : NULL;
    return true;
}

static bool has_scheme(struct part p, const char *scheme, struct part *value)
{
    size_t length = strlen(scheme);
    if (p.length < length || memcmp(p.text, scheme, length) != 0)
        return false;
    value->text = p.text + length;
    value->length = p.length - length;
    return true;
}

static bool is_time(struct part p)
{
    for (size_t i = 0; i < p.length; i++)
        if (p.text[i] < '0' || p.text[i] > '9')
            return false;
    return p.length > 0 && p.length <= TIME_MAX_DIGITS;
}

/* Finds t; false unless there is also a v1. */
static bool find_time(const char *header, struct part *time)
{
    struct part p;
    struct part value;
    bool signed_by_any = false;
    time->length = 0;
    while (next_part(&header, &p)) {
        if (has_scheme(p, "t=", &value))
            *time = value;
        signed_by_any = signed_by_any || has_scheme(p, "v1=", &value);
    }
    return signed_by_any && is_time(*time);
}

static void sign(struct part secret, struct part time, struct part body, char hex[HEX_LENGTH + 1])
{
    crypto_auth_hmacsha256_state state;
    unsigned char mac[crypto_auth_hmacsha256_BYTES];
    crypto_auth_hmacsha256_init(&state, (const unsigned char *)secret.text, secret.length);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)time.text, time.length);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)".", 1);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)body.text, body.length);
    crypto_auth_hmacsha256_final(&state, mac);
    sodium_bin2hex(hex, HEX_LENGTH + 1, mac, sizeof mac);
    sodium_memzero(&state, sizeof state);
}

static bool is_among(const char *header, const char *hex)
{
    struct part p;
    struct part value;
    bool found = false;
    while (next_part(&header, &p))
        if (has_scheme(p, "v1=", &value) && value.length == HEX_LENGTH)
            found = sodium_memcmp(value.text, hex, HEX_LENGTH) == 0 || found;
    return found;
}

enum signature signature_verify(const char *header, const char *body, size_t length,
                                const char *secrets, int64_t now_s)
{
    struct part time;
    struct part secret;
    int64_t signed_at_s = 0;
    bool genuine = false;
    if (!header)
        return SIGNATURE_MISSING;
    if (!find_time(header, &time) || str_to_i64(time.text, time.length, &signed_at_s))
        return SIGNATURE_MALFORMED;
    while (next_part(&secrets, &secret)) {
        char hex[HEX_LENGTH + 1];
        sign(secret, time, (struct part){body, length}, hex);
        genuine = is_among(header, hex) || genuine;
    }
    if (!genuine)
        return SIGNATURE_WRONG;
    return now_s - signed_at_s > SIGNATURE_TOLERANCE_S ? SIGNATURE_OLD : SIGNATURE_OK;
}

const char *signature_fault(enum signature s)
{
    switch (s) {
    case SIGNATURE_OK:
        return "ok";
    case SIGNATURE_MISSING:
        return "the Stripe-Signature header is missing";
    case SIGNATURE_MALFORMED:
        return "the Stripe-Signature header lacks t= or v1=";
    case SIGNATURE_WRONG:
        return "the signature was made with another secret than STRIPE_WEBHOOK_SECRET, or for "
               "another body";
    case SIGNATURE_OLD:
        return "the signature is older than 5 minutes";
    }
    return "unknown";
}
