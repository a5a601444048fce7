#include "common/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Upper bounds of the buckets in milliseconds; +Inf comes after them. */
static const int64_t BUCKETS_MS[] = {1,   2,    5,    10,   20,    50,    100,  200,
                                     500, 1000, 2000, 5000, 10000, 30000, 60000};
#define BUCKETS (sizeof BUCKETS_MS / sizeof BUCKETS_MS[0])

struct histogram {
    uint64_t counts[BUCKETS + 1]; /* each bucket's own; printed as running sums */
    int64_t sum;                  /* in the metric's unit */
};

struct metric {
    struct metric *next; /* in the order of the first call */
    struct family *family;
    char *labels; /* owned */
    int64_t value;
    struct histogram *histogram; /* owned; NULL for other types */
};

/* All series of one name, which the format wants side by side. */
struct family {
    struct family *next;
    const char *name;
    const char *help;
    enum metric_type type;
    enum metric_unit unit;
    struct metric *first;
};

static struct family *families;

static struct metric *new_metric(struct family *family, const char *labels)
{
    struct metric *m = xcalloc(1, sizeof *m);
    m->family = family;
    m->labels = xstrdup(labels);
    if (family->type == METRIC_HISTOGRAM)
        m->histogram = xcalloc(1, sizeof *m->histogram);
    return m;
}

struct metric *metric_get(const char *name, const char *labels, const char *help,
                          enum metric_type type, enum metric_unit unit)
{
    struct family **f = &families;
    while (*f && strcmp((*f)->name, name))
        f = &(*f)->next;
    if (!*f) {
        assert(type != METRIC_HISTOGRAM || unit != METRIC_PLAIN);
        *f = xcalloc(1, sizeof **f);
        **f = (struct family){.name = name, .help = help, .type = type, .unit = unit};
    }
    assert((*f)->type == type && (*f)->unit == unit);
    struct metric **m = &(*f)->first;
    while (*m && strcmp((*m)->labels, labels))
        m = &(*m)->next;
    if (!*m)
        *m = new_metric(*f, labels);
    return *m;
}

void metric_add(struct metric *m, int64_t n)
{
    assert(m->family->type != METRIC_HISTOGRAM);
    assert(n >= 0 || m->family->type == METRIC_GAUGE);
    m->value += n;
}

void metric_set(struct metric *m, int64_t value)
{
    assert(m->family->type != METRIC_HISTOGRAM);
    m->value = value;
}

int64_t metric_value(const struct metric *m)
{
    return m->value;
}

void metric_observe(struct metric *m, int64_t value)
{
    assert(m->histogram);
    int64_t per_ms = m->family->unit == METRIC_US_AS_SECONDS ? 1000 : 1;
    size_t bucket = 0;
    while (bucket < BUCKETS && value > BUCKETS_MS[bucket] * per_ms)
        bucket++;
    m->histogram->counts[bucket]++;
    m->histogram->sum += value;
}

/* The value times 10^-decimals, exact, without trailing zeros. */
static void print_decimal(struct buf *out, int64_t value, int decimals)
{
    uint64_t size = value < 0 ? -(uint64_t)value : (uint64_t)value;
    uint64_t unit = 1;
    for (; decimals > 0 && size % 10 == 0; decimals--)
        size /= 10;
    for (int i = 0; i < decimals; i++)
        unit *= 10;
    buf_printf(out, "%s%" PRIu64, value < 0 ? "-" : "", size / unit);
    if (decimals > 0)
        buf_printf(out, ".%0*" PRIu64, decimals, size % unit);
}

static int decimals_of(enum metric_unit unit)
{
    switch (unit) {
    case METRIC_PLAIN:
        return 0;
    case METRIC_MS_AS_SECONDS:
        return 3;
    case METRIC_US_AS_SECONDS:
        return 6;
    }
    return 0;
}

/* name{labels} and a space. */
static void print_series(struct buf *out, const struct metric *m, const char *suffix)
{
    buf_printf(out, "%s%s", m->family->name, suffix);
    if (*m->labels)
        buf_printf(out, "{%s}", m->labels);
    buf_add_char(out, ' ');
}

/* The line of bucket i up to its count; BUCKETS is +Inf. */
static void print_bucket(struct buf *out, const struct metric *m, size_t i)
{
    const char *comma = *m->labels ? "," : "";
    buf_printf(out, "%s_bucket{%s%sle=\"", m->family->name, m->labels, comma);
    if (i < BUCKETS)
        print_decimal(out, BUCKETS_MS[i], 3);
    else
        buf_add_str(out, "+Inf");
    buf_add_str(out, "\"} ");
}

static void print_histogram(struct buf *out, const struct metric *m)
{
    uint64_t count = 0;
    for (size_t i = 0; i <= BUCKETS; i++) {
        count += m->histogram->counts[i];
        print_bucket(out, m, i);
        buf_printf(out, "%" PRIu64 "\n", count);
    }
    print_series(out, m, "_sum");
    print_decimal(out, m->histogram->sum, decimals_of(m->family->unit));
    buf_add_char(out, '\n');
    print_series(out, m, "_count");
    buf_printf(out, "%" PRIu64 "\n", count);
}

static void print_metric(struct buf *out, const struct metric *m)
{
    if (m->histogram) {
        print_histogram(out, m);
        return;
    }
    print_series(out, m, "");
    print_decimal(out, m->value, decimals_of(m->family->unit));
    buf_add_char(out, '\n');
}

void metrics_print(struct buf *out)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    for (const struct family *f = families; f; f = f->next) {
        if (!f->first)
            continue;
        buf_printf(out, "# HELP %s %s\n", f->name, f->help);
        buf_printf(out, "# TYPE %s %s\n", f->name, types[f->type]);
        for (const struct metric *m = f->first; m; m = m->next)
            print_metric(out, m);
    }
}

static void free_metric(struct metric *m)
{
    free(m->labels);
    free(m->histogram);
    free(m);
}

void metrics_zero(const char *name)
{
    for (struct family *f = families; f; f = f->next)
        for (struct metric *m = strcmp(f->name, name) ? NULL : f->first; m; m = m->next)
            m->value = 0;
}

void metrics_forget(const char *labels)
{
    for (struct family *f = families; f; f = f->next)
        for (struct metric **at = &f->first; *at;) {
            struct metric *m = *at;
            if (strcmp(m->labels, labels)) {
                at = &m->next;
                continue;
            }
            *at = m->next;
            free_metric(m);
        }
}

static void free_series(struct family *f)
{
    for (struct metric *m = f->first, *next; m; m = next) {
        next = m->next;
        free_metric(m);
    }
    f->first = NULL;
}

void metrics_drop(const char *name)
{
    for (struct family *f = families; f; f = f->next)
        if (strcmp(f->name, name) == 0)
            free_series(f);
}

void metrics_done(void)
{
    for (struct family *next; families; families = next) {
        next = families->next;
        free_series(families);
        free(families);
    }
}
