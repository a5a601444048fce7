/* lag HOST PORT STREAM RATE SECONDS TENANTS PROBES_PER_S FILE: emits RATE events/s, paced by the
 * clock in chunks of 2 ms, with probes among them (probes.h). Into FILE goes `<us since the start>
 * <lag in us>` for each probe; on stdout what the ledger must come to.
 * Exit code 1: it could not keep the rate, or a probe has not arrived after 30 s. */
#include "tests/bench/events.h"
#include "tests/bench/probes.h"
#include "tests/bench/wire.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { TICK_US = 2000, WAIT_S = 30, LATE_MAX_US = 1000000 };

static void add_event(struct wire *w, const struct mix *m, uint64_t number, struct expected *x)
{
    struct event e;
    char tenant[32];

    mix_event(m, number, &e);
    snprintf(tenant, sizeof tenant, "tenant-%06" PRIu32, e.tenant);
    wire_add(w, tenant, &e);
    expected_add(x, &e);
}

static void emit(struct wire *w, const struct mix *m, struct probes *p, struct expected *x)
{
    int64_t began_us = clock_us();
    int64_t tick_us = began_us;
    uint64_t number = 0;

    while (number < m->entries) {
        uint64_t due = (uint64_t)(tick_us - began_us) * m->entries / (uint64_t)m->span_ms / 1000;

        for (; number < due && number < m->entries; number++)
            add_event(w, m, number, x);
        probes_emit_due(p, w);
        wire_flush(w);
        sleep_until(tick_us += TICK_US);
        if (clock_us() - tick_us > LATE_MAX_US)
            fail("the rate cannot be kept here");
    }
}

static void write_lags(const struct probes *p, int64_t began_us, const char *path)
{
    FILE *file = fopen(path, "w");

    if (file == NULL)
        fail("cannot write the lags");
    for (unsigned i = 0; i < p->arrived; i++)
        fprintf(file, "%" PRId64 " %" PRId64 "\n", p->sent_us[i] - began_us,
                p->arrived_us[i] - p->sent_us[i]);
    if (fclose(file) != 0)
        fail("cannot write the lags");
}

int main(int argc, char **argv)
{
    static struct wire wire;
    static struct probes probes;
    struct expected expected;
    struct mix mix;
    int64_t began_us = clock_us();

    if (argc != 9)
        fail("usage: lag HOST PORT STREAM RATE SECONDS TENANTS PROBES_PER_S FILE");
    mix = (struct mix){.span_ms = strtoll(argv[5], NULL, 10) * 1000,
                       .tenants = (uint32_t)strtoul(argv[6], NULL, 10),
                       .first_ms = (int64_t)time(NULL) * 1000};
    mix.entries = strtoull(argv[4], NULL, 10) * (uint64_t)mix.span_ms / 1000;
    probes = (struct probes){.host = argv[1], .port = argv[2]};
    probes.every_us = 1e6 / strtod(argv[7], NULL);
    expected_init(&expected, mix.tenants);
    wire_open(&wire, argv[1], argv[2], argv[3]);
    probes_start(&probes);
    emit(&wire, &mix, &probes, &expected);
    if (probes_wait(&probes, WAIT_S) != 0)
        fail("probes did not arrive in the quota cache");
    if (wire_finish(&wire) != mix.entries + probes.sent)
        fail("Redis did not take all entries");
    write_lags(&probes, began_us, argv[8]);
    expected.different += probes.sent;
    expected_print(&expected);
    printf("probe %s %u.000\n", metric_name(0), probes.sent);
    expected_done(&expected);
    return 0;
}
