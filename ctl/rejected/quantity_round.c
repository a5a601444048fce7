#include "ctl/rejected/quantity_round.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* EXPONENT_MAX: beyond it any value is too large or rounds to nothing, as long as its digits are
 * fewer. */
enum { WHOLE_MAX = 18, DIGITS_MAX = 1000, EXPONENT_MAX = 1000000 };

/* digits times 10^(point - count). */
struct number {
    bool negative;
    char digits[DIGITS_MAX]; /* '0' to '9'; the first is not '0' */
    int count;
    int point; /* how many of them stand before the point; may lie outside of them */
};

static bool is_digit(const char *at, const char *end)
{
    return at < end && *at >= '0' && *at <= '9';
}

/* Leading zeros are no digits of it. Returns 0, or -1: there are too many. */
static int add_digit(struct number *n, char digit)
{
    if (n->count == 0 && digit == '0')
        return 0;
    if (n->count == DIGITS_MAX)
        return -1;
    n->digits[n->count++] = digit;
    return 0;
}

static int read_whole(struct number *n, const char **at, const char *end)
{
    if (!is_digit(*at, end))
        return -1;
    for (; is_digit(*at, end); (*at)++)
        if (add_digit(n, **at))
            return -1;
    n->point = n->count;
    return 0;
}

static int read_fraction(struct number *n, const char **at, const char *end)
{
    if (*at == end || **at != '.')
        return 0;
    if (!is_digit(++*at, end))
        return -1;
    for (; is_digit(*at, end); (*at)++) {
        if (add_digit(n, **at))
            return -1;
        if (n->count == 0 && n->point > -EXPONENT_MAX)
            n->point--;
    }
    return 0;
}

static int read_exponent(struct number *n, const char **at, const char *end)
{
    int exponent = 0;
    if (*at == end || (**at != 'e' && **at != 'E'))
        return 0;
    ++*at;
    bool negative = *at < end && **at == '-';
    if (*at < end && (**at == '-' || **at == '+'))
        ++*at;
    if (!is_digit(*at, end))
        return -1;
    for (; is_digit(*at, end); (*at)++)
        if (exponent < EXPONENT_MAX)
            exponent = exponent * 10 + (**at - '0');
    n->point += negative ? -exponent : exponent;
    return 0;
}

static int read_number(const char *text, size_t length, struct number *n)
{
    const char *at = text;
    const char *end = text + length;
    n->negative = length > 0 && *at == '-';
    at += n->negative ? 1 : 0;
    return read_whole(n, &at, end) || read_fraction(n, &at, end) || read_exponent(n, &at, end) ||
                   at != end
               ? -1
               : 0;
}

static void add_one(char *digits, int last)
{
    while (digits[last] == '9')
        digits[last--] = '0';
    digits[last]++;
}

/* All digits that the result can have, `decimals` of them behind the point. The first one is
 * room for a carry. n->point is at most WHOLE_MAX. */
static void round_digits(const struct number *n, int decimals,
                         char digits[1 + WHOLE_MAX + QUANTITY_DECIMALS_MAX])
{
    int size = 1 + WHOLE_MAX + decimals;
    int kept = n->point + decimals; /* of n's digits */
    memset(digits, '0', (size_t)size);
    for (int i = 0; i < kept && i < n->count; i++)
        digits[size - kept + i] = n->digits[i];
    if (kept >= 0 && kept < n->count && n->digits[kept] >= '5')
        add_one(digits, size - 1);
}

int quantity_round(const char *text, size_t length, int decimals, char out[QUANTITY_TEXT_SIZE])
{
    struct number n = {.count = 0};
    char digits[1 + WHOLE_MAX + QUANTITY_DECIMALS_MAX];
    int whole = 1 + WHOLE_MAX;
    int first = 0;
    int size = whole + decimals;
    assert(decimals >= 0 && decimals <= QUANTITY_DECIMALS_MAX);
    if (read_number(text, length, &n) || (n.count > 0 && n.point > WHOLE_MAX))
        return -1;
    if (n.count == 0)
        n.point = 0;
    round_digits(&n, decimals, digits);
    if (digits[0] != '0')
        return -1;
    while (first < whole - 1 && digits[first] == '0')
        first++;
    while (size > whole && digits[size - 1] == '0')
        size--;
    bool zero = first == whole - 1 && size == whole && digits[first] == '0';
    if (n.negative && !zero)
        *out++ = '-';
    memcpy(out, digits + first, (size_t)(whole - first));
    out += whole - first;
    if (size > whole)
        *out++ = '.';
    memcpy(out, digits + whole, (size_t)(size - whole));
    out[size - whole] = '\0';
    return 0;
}
