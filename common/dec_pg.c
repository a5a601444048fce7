/* PostgreSQL's binary numeric: four int16, then base-10000 digits ("groups"), all big endian. Group
 * i counts 10000^(weight - i), so position 0 is the lowest group of the whole part and -1 the first
 * one behind the point. */
#include "common/dec.h"

#include <string.h>

#define HEADER_BYTES     8
#define SIGN_POSITIVE    0x0000
#define SIGN_NEGATIVE    0x4000 /* others are NaN and the infinities */
#define DSCALE_MAX       0x3fff
#define GROUP_BASE       10000
#define FOUR_GROUPS      10000000000000000ULL
#define LOWEST_POSITION  (-3) /* holds the ninth decimal and three that are always zero */
#define HIGHEST_POSITION 7    /* 10^28, for 29 whole digits */
#define GROUPS_MAX       (HIGHEST_POSITION - LOWEST_POSITION + 1)

static void put_u16(unsigned char *at, unsigned value)
{
    at[0] = (unsigned char)(value >> 8);
    at[1] = (unsigned char)value;
}

static unsigned get_u16(const unsigned char *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

/* The four lowest groups of value, highest first. */
static void split_four(uint64_t value, unsigned groups[4])
{
    for (int i = 3; i >= 0; i--) {
        groups[i] = (unsigned)(value % GROUP_BASE);
        value /= GROUP_BASE;
    }
}

/* Groups of all positions, zeros too. Divisions of 128 bits are slow, so there is just one, and a
 * second one for values that few have. */
static void split_groups(dec_uint whole, unsigned fraction, unsigned groups[GROUPS_MAX])
{
    dec_uint high = whole < FOUR_GROUPS ? 0 : whole / FOUR_GROUPS;
    if (high)
        split_four((uint64_t)high, groups);
    else
        memset(groups, 0, 4 * sizeof *groups);
    split_four((uint64_t)(whole - high * FOUR_GROUPS), groups + 4);
    groups[8] = fraction / 100000;
    groups[9] = fraction / 10 % GROUP_BASE;
    groups[10] = fraction % 10 * 1000;
}

/* Decimals behind the point that the value needs. */
static unsigned decimals_of(unsigned fraction)
{
    unsigned decimals = fraction ? DEC_SCALE : 0;
    for (; fraction && fraction % 10 == 0; fraction /= 10)
        decimals--;
    return decimals;
}

size_t dec_to_pg(struct dec value, unsigned char out[DEC_PG_SIZE])
{
    unsigned groups[GROUPS_MAX];
    dec_uint size = value.scaled < 0 ? -(dec_uint)value.scaled : (dec_uint)value.scaled;
    /* Nearly all values fit 64 bits, where a division takes a tenth of the time. */
    dec_uint whole = size >> 64 ? size / DEC_UNIT : (uint64_t)size / DEC_UNIT;
    unsigned fraction = (unsigned)(size - whole * DEC_UNIT);
    split_groups(whole, fraction, groups);
    int first = 0;
    int end = GROUPS_MAX;
    while (end > 0 && groups[end - 1] == 0)
        end--;
    while (first < end && groups[first] == 0)
        first++;
    int weight = end == 0 ? 0 : HIGHEST_POSITION - first;
    put_u16(out, (unsigned)(end - first));
    put_u16(out + 2, (unsigned)weight);
    put_u16(out + 4, value.scaled < 0 ? SIGN_NEGATIVE : SIGN_POSITIVE);
    put_u16(out + 6, decimals_of(fraction));
    unsigned char *at = out + HEADER_BYTES;
    for (int i = first; i < end; i++, at += 2)
        put_u16(at, groups[i]);
    return (size_t)(at - out);
}

/* 10^9 * 10000^position, for positions down to -2. */
static dec_int unit_of_position(int position)
{
    dec_int unit = 10;
    for (int p = LOWEST_POSITION + 1; p < position; p++)
        unit *= GROUP_BASE;
    return unit;
}

/* Adds one group's part to *scaled. Returns -1 if it has no place in numeric(38,9). */
static int add_group(unsigned group, int position, dec_int *scaled)
{
    dec_int part;
    if (group == 0)
        return 0;
    if (position > HIGHEST_POSITION || position < LOWEST_POSITION)
        return -1;
    if (position == LOWEST_POSITION) {
        part = (dec_int)(group / 1000);
        if (group % 1000)
            return -1;
    } else if (__builtin_mul_overflow((dec_int)group, unit_of_position(position), &part)) {
        return -1;
    }
    return __builtin_add_overflow(*scaled, part, scaled) ? -1 : 0;
}

static bool header_is_valid(const unsigned char *data, size_t length)
{
    if (length < HEADER_BYTES)
        return false;
    unsigned sign = get_u16(data + 4);
    return length == HEADER_BYTES + 2 * (size_t)get_u16(data) &&
           (sign == SIGN_POSITIVE || sign == SIGN_NEGATIVE) && get_u16(data + 6) <= DSCALE_MAX;
}

int dec_from_pg(const unsigned char *data, size_t length, struct dec *out)
{
    if (!header_is_valid(data, length))
        return -1;
    int count = (int)get_u16(data);
    int weight = (int16_t)get_u16(data + 2);
    const unsigned char *at = data + HEADER_BYTES;
    dec_int scaled = 0;
    for (int i = 0; i < count; i++, at += 2) {
        unsigned group = get_u16(at);
        if (group >= GROUP_BASE || add_group(group, weight - i, &scaled))
            return -1;
    }
    if (scaled >= DEC_BOUND)
        return -1;
    out->scaled = get_u16(data + 4) == SIGN_NEGATIVE ? -scaled : scaled;
    return 0;
}
