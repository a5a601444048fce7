/* Decimals: text and PostgreSQL's binary form, against rules and arithmetic written a second time,
 * digit by digit in 128 bits. What is taken comes out as the same number. */
#include "common/dec.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <string.h>

/* -?[0-9]{1,whole_max}(\.[0-9]{1,9})? by one look at each byte; the value times 10^9. */
static bool is_decimal(const uint8_t *at, size_t size, size_t whole_max, dec_int *out)
{
    size_t digits[2] = {0, 0};
    int part = 0;
    bool negative = size > 0 && at[0] == '-';
    dec_int value = 0;

    for (size_t i = negative; i < size; i++) {
        if (at[i] == '.' && part == 0) {
            part = 1;
            continue;
        }
        if (at[i] < '0' || at[i] > '9' || ++digits[part] > (part == 0 ? whole_max : 9))
            return false;
        value = value * 10 + (at[i] - '0');
    }
    if (digits[0] == 0 || (part == 1 && digits[1] == 0))
        return false;
    for (size_t i = digits[1]; i < 9; i++)
        value *= 10;
    *out = negative ? -value : value;
    return true;
}

static void must_parse_alike(const uint8_t *data, size_t size)
{
    struct dec value = {42};
    dec_int wanted;
    bool is_quantity = is_decimal(data, size, 18, &wanted);

    assert((dec_parse_quantity((const char *)data, size, &value) == 0) == is_quantity);
    assert(value.scaled == (is_quantity ? wanted : 42));
    value.scaled = 42;
    bool is_numeric = is_decimal(data, size, 29, &wanted);
    assert((dec_parse((const char *)data, size, &value) == 0) == is_numeric);
    assert(value.scaled == (is_numeric ? wanted : 42));
}

/* As short as it can be, and no other text: "0.5", not ".5", "0.50" or "-0". */
static void must_be_shortest(const char *text, size_t length)
{
    assert(strlen(text) == length && length > 0);
    assert(strcmp(text, "-0") != 0);
    const char *digits = text + (*text == '-');
    assert(digits[0] != '0' || digits[1] == '\0' || digits[1] == '.');
    assert(strchr(text, '.') == NULL || (text[length - 1] != '0' && text[length - 1] != '.'));
}

static void must_round_trip(struct dec value)
{
    char text[DEC_TEXT_SIZE];
    unsigned char binary[DEC_PG_SIZE];
    struct dec again;
    dec_int wanted;
    size_t length = dec_format(value, text);

    must_be_shortest(text, length);
    bool is_read = is_decimal((const uint8_t *)text, length, 29, &wanted);
    assert(is_read && wanted == value.scaled);
    assert(dec_parse(text, length, &again) == 0 && again.scaled == value.scaled);
    length = dec_to_pg(value, binary);
    assert(length <= DEC_PG_SIZE);
    assert(dec_from_pg(binary, length, &again) == 0 && again.scaled == value.scaled);
}

static bool is_within(dec_int scaled)
{
    return scaled > -DEC_BOUND && scaled < DEC_BOUND;
}

static void must_calculate(struct dec a, struct dec b)
{
    struct dec out = {42};
    dec_int wanted;
    bool fits = !__builtin_add_overflow(a.scaled, b.scaled, &wanted) && is_within(wanted);

    assert((dec_add(a, b, &out) == 0) == fits);
    assert(out.scaled == (fits ? wanted : 42));
    out.scaled = 42;
    fits = !__builtin_sub_overflow(a.scaled, b.scaled, &wanted) && is_within(wanted);
    assert((dec_sub(a, b, &out) == 0) == fits);
    assert(out.scaled == (fits ? wanted : 42));
    assert(dec_cmp(a, b) == (a.scaled > b.scaled) - (a.scaled < b.scaled));
    assert(dec_neg(a, &out) == 0 && out.scaled == -a.scaled);
    assert(dec_is_zero(a) == (a.scaled == 0));
}

static void must_be_whole(struct dec a)
{
    dec_int floor = dec_floor(a).scaled;
    int64_t whole = 42;
    bool fits = a.scaled % DEC_UNIT == 0 && a.scaled / DEC_UNIT <= INT64_MAX &&
                a.scaled / DEC_UNIT >= INT64_MIN;

    assert(floor <= a.scaled && a.scaled - floor < DEC_UNIT && floor % DEC_UNIT == 0);
    assert((dec_to_i64(a, &whole) == 0) == fits);
    assert(whole == (fits ? (int64_t)(a.scaled / DEC_UNIT) : 42));
    if (fits)
        assert(dec_from_i64(whole).scaled == a.scaled);
}

/* A decimal of the bytes as they are, or of the text they hold. */
static struct dec any_dec(const uint8_t *data, size_t size)
{
    struct dec value = DEC_ZERO;
    dec_uint raw = 0;

    if (dec_parse((const char *)data, size, &value) == 0)
        return value;
    for (size_t i = 0; i < size && i < sizeof(raw); i++)
        raw = raw << 8 | data[i];
    value.scaled = (dec_int)(raw % (dec_uint)DEC_BOUND);
    if (size > 0 && data[size - 1] % 2 != 0)
        value.scaled = -value.scaled;
    return value;
}

static void fuzz_dec(const uint8_t *data, size_t size)
{
    struct dec a = any_dec(data, size / 2);
    struct dec b = any_dec(data + size / 2, size - size / 2);
    struct dec value;

    must_parse_alike(data, size);
    must_round_trip(a);
    must_round_trip(b);
    must_calculate(a, b);
    must_calculate(b, a);
    must_be_whole(a);
    must_be_whole(b);
    if (dec_from_pg(data, size, &value) == 0)
        must_round_trip(value);
}

FUZZ_TARGET(fuzz_dec)
