/* Time in milliseconds, and its forms in text and in PostgreSQL. Pure but for the three functions
 * that read a clock. */
#ifndef METERLINE_CLOCK_H
#define METERLINE_CLOCK_H

#include <stdint.h>

#define MINUTE_MS 60000LL
#define HOUR_MS   3600000LL
#define DAY_MS    86400000LL

int64_t clock_unix_ms(void);      /* the wall clock, Unix milliseconds */
int64_t clock_monotonic_ms(void); /* never goes back; for deadlines and waits */
int64_t clock_monotonic_us(void);

/* The start of the UTC minute or day that holds unix_ms (floor, also below 0). */
int64_t clock_minute_of(int64_t unix_ms);
int64_t clock_day_of(int64_t unix_ms);

#define CLOCK_TEXT_SIZE 32
/* "2026-11-21T06:41:10.920Z" */
void clock_format_iso(int64_t unix_ms, char out[CLOCK_TEXT_SIZE]);
/* Unix seconds of a time like "2026-11-21T06:41:10.920Z" (RFC 3339, UTC), without the fraction; -1
 * if text is anything else. */
int64_t clock_parse_rfc3339_s(const char *text);

/* The next multiple of interval_ms after now_ms, both Unix: cycles aligned to the clock. */
int64_t clock_next_tick(int64_t now_ms, int64_t interval_ms);

/* PostgreSQL's binary timestamptz: microseconds since 2000-01-01 (its datatype/timestamp.h).
 * Fractions of a millisecond are dropped, towards the past. */
int64_t clock_unix_ms_to_pg_us(int64_t unix_ms);
int64_t clock_pg_us_to_unix_ms(int64_t pg_us);

#endif
