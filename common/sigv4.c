#include "common/sigv4.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define ALGORITHM "AWS4-HMAC-SHA256"

enum { HASH_BYTES = crypto_hash_sha256_BYTES, DAY_LENGTH = 8 };

void sigv4_hash(const void *data, size_t length, char out[SIGV4_HASH_SIZE])
{
    unsigned char hash[HASH_BYTES];
    crypto_hash_sha256(hash, data, length);
    sodium_bin2hex(out, SIGV4_HASH_SIZE, hash, sizeof hash);
}

void sigv4_time(int64_t unix_s, char out[SIGV4_TIME_SIZE])
{
    time_t at = (time_t)unix_s;
    struct tm utc;
    gmtime_r(&at, &utc);
    strftime(out, SIGV4_TIME_SIZE, "%Y%m%dT%H%M%SZ", &utc);
}

void sigv4_encode(struct buf *out, const char *text)
{
    static const char PLAIN[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (; *text; text++) {
        if (strchr(PLAIN, *text))
            buf_add(out, text, 1);
        else
            buf_printf(out, "%%%02X", (unsigned char)*text);
    }
}

static void add_signed_names(const struct sigv4_request *r, struct buf *out)
{
    for (const struct sigv4_header *h = r->headers; h->name; h++)
        buf_printf(out, "%s%s", h == r->headers ? "" : ";", h->name);
}

/* "20130524/us-east-1/s3/aws4_request" */
static void add_scope(const struct sigv4_request *r, struct buf *out)
{
    buf_printf(out, "%.*s/%s/%s/aws4_request", DAY_LENGTH, r->time, r->region, r->service);
}

static void hash_canonical(const struct sigv4_request *r, char out[SIGV4_HASH_SIZE])
{
    struct buf text = {0};
    buf_printf(&text, "%s\n%s\n%s\n", r->method, r->path, r->query);
    for (const struct sigv4_header *h = r->headers; h->name; h++)
        buf_printf(&text, "%s:%s\n", h->name, h->value);
    buf_printf(&text, "\n");
    add_signed_names(r, &text);
    buf_printf(&text, "\n%s", r->payload_hash);
    sigv4_hash(text.data, text.length, out);
    buf_done(&text);
}

/* One link of the chain of keys: out = HMAC(key, text). out may be key. */
static void link_key(const unsigned char *key, size_t key_length, const char *text, size_t length,
                     unsigned char out[HASH_BYTES])
{
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, key, key_length);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)text, length);
    crypto_auth_hmacsha256_final(&state, out);
    sodium_memzero(&state, sizeof state);
}

static void sign(const struct sigv4_request *r, const struct buf *text,
                 unsigned char out[HASH_BYTES])
{
    struct buf secret = {0};
    buf_printf(&secret, "AWS4%s", r->secret);
    link_key((const unsigned char *)secret.data, secret.length, r->time, DAY_LENGTH, out);
    sodium_memzero(secret.data, secret.length);
    buf_done(&secret);
    link_key(out, HASH_BYTES, r->region, strlen(r->region), out);
    link_key(out, HASH_BYTES, r->service, strlen(r->service), out);
    link_key(out, HASH_BYTES, "aws4_request", strlen("aws4_request"), out);
    link_key(out, HASH_BYTES, text->data, text->length, out);
}

void sigv4_authorize(const struct sigv4_request *r, struct buf *out)
{
    struct buf text = {0};
    char canonical[SIGV4_HASH_SIZE];
    unsigned char signature[HASH_BYTES];
    char hex[SIGV4_HASH_SIZE];
    hash_canonical(r, canonical);
    buf_printf(&text, ALGORITHM "\n%s\n", r->time);
    add_scope(r, &text);
    buf_printf(&text, "\n%s", canonical);
    sign(r, &text, signature);
    buf_done(&text);
    sodium_bin2hex(hex, sizeof hex, signature, sizeof signature);
    buf_printf(out, ALGORITHM " Credential=%s/", r->key_id);
    add_scope(r, out);
    buf_printf(out, ",SignedHeaders=");
    add_signed_names(r, out);
    buf_printf(out, ",Signature=%s", hex);
}
