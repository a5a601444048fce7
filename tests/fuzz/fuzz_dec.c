/* Text and PostgreSQL's binary form of decimals: what is taken comes out as the same number. */
#include "common/dec.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>

static void must_round_trip(struct dec value)
{
    char text[DEC_TEXT_SIZE];
    unsigned char binary[DEC_PG_SIZE];
    struct dec again;
    size_t length = dec_format(value, text);

    assert(dec_parse(text, length, &again) == 0 && dec_cmp(value, again) == 0);
    length = dec_to_pg(value, binary);
    assert(length <= DEC_PG_SIZE);
    assert(dec_from_pg(binary, length, &again) == 0 && dec_cmp(value, again) == 0);
}

static void fuzz_dec(const uint8_t *data, size_t size)
{
    struct dec quantity;
    struct dec value;

    if (dec_parse((const char *)data, size, &value) == 0)
        must_round_trip(value);
    if (dec_parse_quantity((const char *)data, size, &quantity) == 0) {
        assert(dec_parse((const char *)data, size, &value) == 0); /* a quantity is a numeric */
        assert(dec_cmp(quantity, value) == 0);
    }
    if (dec_from_pg(data, size, &value) == 0)
        must_round_trip(value);
}

FUZZ_TARGET(fuzz_dec)
