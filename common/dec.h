/* Exact decimals: a scaled __int128 with nine digits behind the point, the range of PostgreSQL's
 * numeric(38,9). Overflow is an error, never a wrap; nothing rounds unless its name says so. */
#ifndef METERLINE_DEC_H
#define METERLINE_DEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEC_SCALE     9
#define DEC_UNIT      1000000000LL /* one, scaled */
#define DEC_TEXT_SIZE 48           /* longest text with sign, point and NUL */

__extension__ typedef __int128 dec_int;
__extension__ typedef unsigned __int128 dec_uint;

/* 10^38: every scaled value lies between its negative and itself, without reaching either. */
#define DEC_BOUND ((dec_int)10000000000000000000ULL * (dec_int)10000000000000000000ULL)

struct dec {
    dec_int scaled; /* value * 10^9, |scaled| < 10^38 */
};

#define DEC_ZERO ((struct dec){0})

/* A quantity as the stream allows it: -?[0-9]{1,18}(\.[0-9]{1,9})?, nothing around it.
 * text: length bytes, need not end in NUL. Returns 0, or -1 (not of that form); *out untouched. */
int dec_parse_quantity(const char *text, size_t length, struct dec *out);

/* Any numeric(38,9) as PostgreSQL prints it: up to 29 digits before the point, up to 9 behind it.
 * Returns 0 or -1. */
int dec_parse(const char *text, size_t length, struct dec *out);

/* Shortest exact text: no trailing zeros, no point without digits, "0" for zero. Returns length. */
size_t dec_format(struct dec value, char out[DEC_TEXT_SIZE]);

/* Return 0, or -1 on overflow of 38 digits with *out untouched. */
int dec_add(struct dec a, struct dec b, struct dec *out);
int dec_sub(struct dec a, struct dec b, struct dec *out);
int dec_neg(struct dec a, struct dec *out);

int dec_cmp(struct dec a, struct dec b); /* -1, 0, 1 */
bool dec_is_zero(struct dec a);
struct dec dec_from_i64(int64_t whole);

/* The greatest whole number at or below the value (towards minus infinity). Below -(10^29 - 1) the
 * result may be DEC_BOUND itself, which is exact all the same. */
struct dec dec_floor(struct dec value);
/* Returns 0 with the value in *out, or -1 if it is not whole or does not fit. */
int dec_to_i64(struct dec value, int64_t *out);

#define DEC_PG_SIZE 64
/* PostgreSQL's binary numeric (src/backend/utils/adt/numeric.c, numeric_recv): int16 ndigits,
 * weight, sign, dscale, then base-10000 digits, all big endian. Returns the length written. */
size_t dec_to_pg(struct dec value, unsigned char out[DEC_PG_SIZE]);
/* Returns 0, or -1 for NaN, infinity, more digits than numeric(38,9) holds or a malformed value. */
int dec_from_pg(const unsigned char *data, size_t length, struct dec *out);

#endif
