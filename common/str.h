/* Memory, text that grows, and checks on text. xmalloc and friends abort when memory runs out: a
 * supervisor restarts the process, and the stream delivers again. */
#ifndef METERLINE_STR_H
#define METERLINE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t length);
/* malloc'd text, owned by the caller. */
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Bytes that grow. Zero-initialise; data always ends in a NUL that length does not count (NULL
 * while nothing was ever added). */
struct buf {
    char *data;      /* owned; xmalloc'd */
    size_t length;   /* bytes used */
    size_t capacity; /* bytes allocated */
};
void buf_reserve(struct buf *b, size_t more);
void buf_add(struct buf *b, const void *data, size_t length);
void buf_add_str(struct buf *b, const char *s);
void buf_add_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_add_u16be(struct buf *b, uint16_t v);
void buf_add_u32be(struct buf *b, uint32_t v);
void buf_add_u64be(struct buf *b, uint64_t v);
void buf_clear(struct buf *b); /* keeps the memory */
void buf_done(struct buf *b);  /* frees it */
char *buf_take(struct buf *b); /* the text, NUL-terminated; the caller frees it; b is empty */
/* Lines become one: newlines at the end go, the others become semicolons. */
void buf_join_lines(struct buf *b);

/* x-www-form-urlencoded, as Stripe's API takes it: every byte but A-Z a-z 0-9 - _ . ~ as %XX. */
void buf_add_urlencoded(struct buf *b, const char *s, size_t length);
/* A JSON string with its quotes. s must be UTF-8. */
void buf_add_json_str(struct buf *b, const char *s, size_t length);
/* Standard base64 with padding. */
void buf_add_base64(struct buf *b, const void *data, size_t length);

/* Well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms) without NUL. */
bool str_is_utf8(const char *s, size_t length);
/* The bytes of the well-formed UTF-8 character that s starts with, 1 to 4; 0 if there is none. */
size_t str_utf8_char(const char *s, size_t length);
/* Each byte of a NUL-terminated text that is not UTF-8 becomes a question mark. */
void str_make_utf8(char *s);
/* A byte below 0x20, or 0x7f, or one of U+0080 to U+009F, which steer terminals as they do. */
bool str_has_control(const char *s, size_t length);
/* [a-z0-9_]{1,64}: the names of metrics and dimensions. */
bool str_is_name(const char *s, size_t length);
/* A whole base-10 integer with optional minus; nothing around it. Returns 0 or -1. */
int str_to_i64(const char *s, size_t length, int64_t *out);

/* Redis Cluster's CRC16 (XMODEM): https://redis.io/docs/reference/cluster-spec */
uint16_t str_crc16(const char *s, size_t length);

/* A URL with its password replaced by ***, for logs and --print-config; malloc'd. */
char *str_mask_url(const char *url);

#define UUID_TEXT_SIZE 37
/* A fresh UUIDv7 (RFC 9562) of that Unix time, random beyond its milliseconds. */
void uuid_v7(int64_t unix_ms, char out[UUID_TEXT_SIZE]);
/* The same of random bytes that the caller has. */
#define UUID_RANDOM_BYTES 10
void uuid_v7_of(int64_t unix_ms, const unsigned char random[UUID_RANDOM_BYTES],
                char out[UUID_TEXT_SIZE]);
/* 36 characters, lower-case hex with hyphens at 8-13-18-23, into 16 bytes. Returns 0 or -1. Only
 * the lower-case form is taken, so that the text can be given back to the letter. */
int uuid_parse(const char *s, size_t length, unsigned char out[16]);
void uuid_format(const unsigned char in[16], char out[UUID_TEXT_SIZE]);

#endif
