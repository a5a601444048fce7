#include "common/dec.h"

#include <string.h>

#define QUANTITY_WHOLE_DIGITS 18 /* these fit 64 bits, which is what makes quantities fast */
#define NUMERIC_WHOLE_DIGITS  29 /* numeric(38,9) */

static const uint64_t POWERS_OF_TEN[] = {1,
                                         10,
                                         100,
                                         1000,
                                         10000,
                                         100000,
                                         1000000,
                                         10000000,
                                         100000000,
                                         1000000000,
                                         10000000000,
                                         100000000000,
                                         1000000000000,
                                         10000000000000,
                                         100000000000000,
                                         1000000000000000,
                                         10000000000000000,
                                         100000000000000000,
                                         1000000000000000000};

/* The parts of a decimal's text, found but not yet converted. */
struct decimal_text {
    bool negative;
    const char *whole; /* digits before the point */
    size_t whole_digits;
    const char *fraction; /* digits behind it */
    size_t fraction_digits;
};

static size_t count_digits(const char *at, const char *end)
{
    const char *start = at;
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return (size_t)(at - start);
}

/* True if the text is -?[0-9]{1,max_whole}(\.[0-9]{1,9})? and nothing else. */
static bool split_text(const char *text, size_t length, size_t max_whole, struct decimal_text *out)
{
    const char *end = text + length;
    out->negative = length > 0 && *text == '-';
    out->whole = text + out->negative;
    out->whole_digits = count_digits(out->whole, end);
    out->fraction = out->whole + out->whole_digits;
    out->fraction_digits = 0;
    if (out->whole_digits < 1 || out->whole_digits > max_whole)
        return false;
    if (out->fraction == end)
        return true;
    if (*out->fraction++ != '.')
        return false;
    out->fraction_digits = count_digits(out->fraction, end);
    return out->fraction_digits >= 1 && out->fraction_digits <= DEC_SCALE &&
           out->fraction + out->fraction_digits == end;
}

/* At most 18 digits. */
static uint64_t digits_to_u64(const char *digits, size_t count)
{
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++)
        value = value * 10 + (uint64_t)(digits[i] - '0');
    return value;
}

static uint64_t scaled_fraction(const struct decimal_text *t)
{
    return digits_to_u64(t->fraction, t->fraction_digits) *
           POWERS_OF_TEN[DEC_SCALE - t->fraction_digits];
}

static struct dec from_parts(bool negative, dec_int whole, uint64_t fraction)
{
    dec_int scaled = whole * DEC_UNIT + (dec_int)fraction;
    return (struct dec){negative ? -scaled : scaled};
}

int dec_parse_quantity(const char *text, size_t length, struct dec *out)
{
    struct decimal_text t;
    if (!split_text(text, length, QUANTITY_WHOLE_DIGITS, &t))
        return -1;
    uint64_t whole = digits_to_u64(t.whole, t.whole_digits);
    *out = from_parts(t.negative, (dec_int)whole, scaled_fraction(&t));
    return 0;
}

int dec_parse(const char *text, size_t length, struct dec *out)
{
    struct decimal_text t;
    if (!split_text(text, length, NUMERIC_WHOLE_DIGITS, &t))
        return -1;
    size_t low = t.whole_digits < 18 ? t.whole_digits : 18;
    size_t high = t.whole_digits - low;
    dec_int whole = (dec_int)digits_to_u64(t.whole, high) * (dec_int)POWERS_OF_TEN[18] +
                    (dec_int)digits_to_u64(t.whole + high, low);
    *out = from_parts(t.negative, whole, scaled_fraction(&t));
    return 0;
}

/* Writes value's digits so that they end before end; at least min_digits. Returns their start. */
static char *digits_before(char *end, dec_uint value, int min_digits)
{
    /* One 128-bit division for 18 digits, then 64-bit ones: those are many times faster. */
    uint64_t low = (uint64_t)(value % POWERS_OF_TEN[18]);
    dec_uint high = value / POWERS_OF_TEN[18];
    char *at = end;
    for (int n = 0; low || n < min_digits || (high && n < 18); n++) {
        *--at = (char)('0' + low % 10);
        low /= 10;
    }
    return high ? digits_before(at, high, 1) : at;
}

static char *fraction_before(char *end, uint64_t fraction)
{
    int digits = DEC_SCALE;
    for (; fraction % 10 == 0; fraction /= 10)
        digits--;
    char *at = digits_before(end, fraction, digits);
    *--at = '.';
    return at;
}

size_t dec_format(struct dec value, char out[DEC_TEXT_SIZE])
{
    char text[DEC_TEXT_SIZE];
    char *end = text + sizeof text;
    char *at = end;
    dec_uint size = value.scaled < 0 ? -(dec_uint)value.scaled : (dec_uint)value.scaled;
    uint64_t fraction = (uint64_t)(size % DEC_UNIT);
    if (fraction)
        at = fraction_before(at, fraction);
    at = digits_before(at, size / DEC_UNIT, 1);
    if (value.scaled < 0)
        *--at = '-';
    size_t length = (size_t)(end - at);
    memcpy(out, at, length);
    out[length] = '\0';
    return length;
}

static int set_within_bound(bool overflowed, dec_int scaled, struct dec *out)
{
    if (overflowed || scaled >= DEC_BOUND || scaled <= -DEC_BOUND)
        return -1;
    out->scaled = scaled;
    return 0;
}

int dec_add(struct dec a, struct dec b, struct dec *out)
{
    dec_int sum;
    bool overflowed = __builtin_add_overflow(a.scaled, b.scaled, &sum);
    return set_within_bound(overflowed, sum, out);
}

int dec_sub(struct dec a, struct dec b, struct dec *out)
{
    dec_int difference;
    bool overflowed = __builtin_sub_overflow(a.scaled, b.scaled, &difference);
    return set_within_bound(overflowed, difference, out);
}

int dec_neg(struct dec a, struct dec *out)
{
    return dec_sub(DEC_ZERO, a, out);
}

int dec_cmp(struct dec a, struct dec b)
{
    return (a.scaled > b.scaled) - (a.scaled < b.scaled);
}

bool dec_is_zero(struct dec a)
{
    return a.scaled == 0;
}

struct dec dec_from_i64(int64_t whole)
{
    return (struct dec){(dec_int)whole * DEC_UNIT};
}

struct dec dec_floor(struct dec value)
{
    dec_int rest = value.scaled % DEC_UNIT;
    if (rest < 0)
        rest += DEC_UNIT;
    return (struct dec){value.scaled - rest};
}

int dec_to_i64(struct dec value, int64_t *out)
{
    dec_int whole = value.scaled / DEC_UNIT;
    if (value.scaled % DEC_UNIT || whole > INT64_MAX || whole < INT64_MIN)
        return -1;
    *out = (int64_t)whole;
    return 0;
}
