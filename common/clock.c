#include "common/clock.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define PG_EPOCH_MS 946684800000LL /* 2000-01-01T00:00:00Z in Unix milliseconds */

static int64_t read_us(clockid_t id)
{
    struct timespec now;
    int failed = clock_gettime(id, &now);
    assert(!failed);
    (void)failed;
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_unix_ms(void)
{
    return read_us(CLOCK_REALTIME) / 1000;
}

int64_t clock_monotonic_ms(void)
{
    return read_us(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_monotonic_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

/* C's division rounds towards zero; times before 1970 need the one towards minus infinity. */
static int64_t floor_divide(int64_t value, int64_t unit)
{
    return value / unit - (value % unit < 0);
}

/* How far value lies past the last multiple of unit: 0 to unit - 1. */
static int64_t floor_rest(int64_t value, int64_t unit)
{
    int64_t rest = value % unit;
    return rest < 0 ? rest + unit : rest;
}

int64_t clock_minute_of(int64_t unix_ms)
{
    return unix_ms - floor_rest(unix_ms, MINUTE_MS);
}

int64_t clock_day_of(int64_t unix_ms)
{
    return unix_ms - floor_rest(unix_ms, DAY_MS);
}

void clock_format_iso(int64_t unix_ms, char out[CLOCK_TEXT_SIZE])
{
    time_t seconds = (time_t)floor_divide(unix_ms, 1000);
    struct tm utc;
    bool known = gmtime_r(&seconds, &utc) != NULL;
    assert(known); /* the year of any 64-bit number of milliseconds fits an int */
    (void)known;
    size_t length = strftime(out, CLOCK_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &utc);
    unsigned rest = (unsigned)floor_rest(unix_ms, 1000) % 1000;
    snprintf(out + length, CLOCK_TEXT_SIZE - length, ".%03uZ", rest);
}

int64_t clock_parse_rfc3339_s(const char *text)
{
    struct tm at = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &at);
    if (rest && *rest == '.')
        rest += 1 + strspn(rest + 1, "0123456789");
    return rest && !strcmp(rest, "Z") ? (int64_t)timegm(&at) : -1;
}

int64_t clock_next_tick(int64_t now_ms, int64_t interval_ms)
{
    assert(interval_ms > 0);
    return now_ms - floor_rest(now_ms, interval_ms) + interval_ms;
}

int64_t clock_unix_ms_to_pg_us(int64_t unix_ms)
{
    int64_t pg_us;
    bool outside = __builtin_sub_overflow(unix_ms, PG_EPOCH_MS, &pg_us) ||
                   __builtin_mul_overflow(pg_us, 1000, &pg_us);
    assert(!outside);
    (void)outside;
    return pg_us;
}

int64_t clock_pg_us_to_unix_ms(int64_t pg_us)
{
    return floor_divide(pg_us, 1000) + PG_EPOCH_MS;
}
