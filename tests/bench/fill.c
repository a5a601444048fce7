/* fill HOST PORT STREAM ENTRIES TENANTS MINUTES REPEATS_PERCENT REPEATS_WITHIN: fills an empty
 * stream with events that were used over the last MINUTES. Prints what the ledger must come to. */
#include "tests/bench/events.h"
#include "tests/bench/wire.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void send_entry(struct wire *w, const struct mix *m, uint64_t number, struct expected *x)
{
    uint64_t original = mix_original(m, number);
    struct event e;
    char tenant[32];

    mix_event(m, original, &e);
    snprintf(tenant, sizeof tenant, "tenant-%06" PRIu32, e.tenant);
    wire_add(w, tenant, &e);
    if (original == number)
        expected_add(x, &e);
}

int main(int argc, char **argv)
{
    static struct wire wire;
    struct expected expected;
    struct mix mix;

    if (argc != 9)
        fail("usage: fill HOST PORT STREAM ENTRIES TENANTS MINUTES REPEATS_PERCENT "
             "REPEATS_WITHIN");
    mix = (struct mix){.entries = strtoull(argv[4], NULL, 10),
                       .tenants = (uint32_t)strtoul(argv[5], NULL, 10),
                       .span_ms = strtoll(argv[6], NULL, 10) * 60000,
                       .repeats_percent = (unsigned)strtoul(argv[7], NULL, 10),
                       .repeats_within = strtoull(argv[8], NULL, 10)};
    mix.first_ms = (int64_t)time(NULL) * 1000 - mix.span_ms;
    expected_init(&expected, mix.tenants);
    wire_open(&wire, argv[1], argv[2], argv[3]);
    for (uint64_t i = 0; i < mix.entries; i++)
        send_entry(&wire, &mix, i, &expected);
    if (wire_finish(&wire) != mix.entries)
        fail("Redis did not take all entries");
    expected_print(&expected);
    expected_done(&expected);
    return 0;
}
