/* Any Stripe-Signature header before any body. The input: the header up to the first NUL, then the
 * body. */
#include "common/str.h"
#include "tests/fuzz/fuzz.h"
#include "webhookd/receive/signature.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char SIGNING_SECRET[] = "whsec_fuzz";
enum { SIGNED_AT_S = 1795243270 };

static void add_genuine(struct buf *header, const char *body, size_t length)
{
    crypto_auth_hmacsha256_state state;
    unsigned char mac[crypto_auth_hmacsha256_BYTES];
    char hex[2 * sizeof mac + 1];
    char time[24];
    snprintf(time, sizeof time, "%d", SIGNED_AT_S);
    crypto_auth_hmacsha256_init(&state, (const unsigned char *)SIGNING_SECRET,
                                strlen(SIGNING_SECRET));
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)time, strlen(time));
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)".", 1);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)body, length);
    crypto_auth_hmacsha256_final(&state, mac);
    buf_printf(header, "t=%s,v1=%s", time, sodium_bin2hex(hex, sizeof hex, mac, sizeof mac));
}

static enum signature verify_signature(const char *header, const char *body, size_t length,
                                       int64_t now_s)
{
    return signature_verify(header, body, length, "whsec_other,whsec_fuzz", now_s);
}

/* Whatever stands before it, a genuine signature counts, until it is too old; and for its body
 * alone. */
static void must_accept_genuine(const char *before, const char *body, size_t length)
{
    struct buf header = {0};
    struct buf longer = {0};
    buf_printf(&header, "%s,", before);
    add_genuine(&header, body, length);
    buf_add(&longer, body, length);
    buf_add_char(&longer, ' ');
    assert(verify_signature(header.data, body, length, SIGNED_AT_S) == SIGNATURE_OK);
    assert(verify_signature(header.data, body, length, SIGNED_AT_S + SIGNATURE_TOLERANCE_S + 1) ==
           SIGNATURE_OLD);
    assert(verify_signature(header.data, longer.data, longer.length, SIGNED_AT_S) ==
           SIGNATURE_WRONG);
    buf_done(&header);
    buf_done(&longer);
}

static void fuzz_signature(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    size_t length = strnlen(text, size);
    struct buf header = {0};
    struct buf body = {0};
    buf_add(&header, text, length);
    if (length < size)
        buf_add(&body, text + length + 1, size - length - 1);
    const char *bytes = body.data ? body.data : "";
    enum signature verdict =
        verify_signature(header.data ? header.data : "", bytes, body.length, SIGNED_AT_S);
    /* Nobody finds a genuine one by chance. */
    assert(verdict != SIGNATURE_OK && verdict != SIGNATURE_MISSING);
    assert(strlen(signature_fault(verdict)) > 0);
    must_accept_genuine(header.data ? header.data : "", bytes, body.length);
    buf_done(&header);
    buf_done(&body);
}

FUZZ_TARGET(fuzz_signature)
