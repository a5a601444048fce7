/* emit URL FOLDER THREADS EVENTS PER_S PROGRESS [RUN]: a service that emits by libmeterline. Each
 * of THREADS emits EVENTS, at PER_S (0: as fast as it can), and notes in the file PROGRESS how many
 * emit took: 8 bytes a thread, in shared memory, so that it is known of a killed process too.
 * FOLDER "-": no spool folder. Ids are RUN-THREAD-NUMBER. Prints the times of emit in ns, and
 * events/s until Redis had all. */
#include "common/clock.h"
#include "emitter/library/meterline.h"
#include "tests/bench/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { THREADS_MAX = 64, TIMES_MAX = 1 << 20 };

struct emitter_thread {
    pthread_t thread;
    int number;
    uint32_t *times; /* of emit, ns, of the first TIMES_MAX */
    uint64_t refused;
};

static struct meterline *library;
static uint64_t events;
static uint64_t per_s;
static const char *run_name;
static _Atomic uint64_t *progress;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

/* Keeps to the rate, in steps of a millisecond. */
static void pace(uint64_t began_ns, uint64_t n)
{
    uint64_t due_ns = per_s ? began_ns + n * 1000000000U / per_s : 0;
    while (per_s && now_ns() < due_ns)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
}

static void *emit_all(void *owner)
{
    struct emitter_thread *t = owner;
    char tenant[32];
    char id[64];
    uint64_t began_ns = now_ns();
    snprintf(tenant, sizeof tenant, "tenant-%d", t->number);
    for (uint64_t n = 0; n < events; n++) {
        pace(began_ns, n);
        snprintf(id, sizeof id, "%s-%d-%" PRIu64, run_name, t->number, n);
        uint64_t before_ns = now_ns();
        int result =
            meterline_emit(library, METERLINE_EVENT(.tenant = tenant, .metric = "api_calls",
                                                    .quantity = "1", .id = id));
        uint64_t took_ns = now_ns() - before_ns;
        if (n < TIMES_MAX)
            t->times[n] = took_ns > UINT32_MAX ? UINT32_MAX : (uint32_t)took_ns;
        if (result == METERLINE_OK)
            atomic_fetch_add(&progress[t->number], 1);
        else if (result == METERLINE_FULL)
            n--; /* the same event again, until there is room */
        else
            t->refused++;
    }
    return NULL;
}

static int by_time(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void print_times(const struct emitter_thread *threads, int count)
{
    size_t each = events < TIMES_MAX ? events : TIMES_MAX;
    size_t n = each * (size_t)count;
    uint32_t *all = malloc(n * sizeof *all);
    if (!all)
        fail("out of memory");
    for (int i = 0; i < count; i++)
        memcpy(all + (size_t)i * each, threads[i].times, each * sizeof *all);
    qsort(all, n, sizeof *all, by_time);
    printf("median_ns=%" PRIu32 " p99_ns=%" PRIu32 " p999_ns=%" PRIu32 " max_ns=%" PRIu32,
           all[n / 2], all[n * 99 / 100], all[n * 999 / 1000], all[n - 1]);
    free(all);
}

static void open_progress(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, THREADS_MAX * sizeof *progress) != 0)
        fail("open the file of the progress");
    progress =
        mmap(NULL, THREADS_MAX * sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (progress == MAP_FAILED)
        fail("map the file of the progress");
    close(fd);
}

static void on_state(void *owner, const char *fault)
{
    (void)owner;
    fprintf(stderr, "%s\n", fault ? fault : "all is well again");
}

int main(int argc, char **argv)
{
    static struct emitter_thread threads[THREADS_MAX];
    struct meterline_stats stats = {.size = sizeof stats};
    uint64_t refused = 0;
    if (argc < 7 || argc > 8 || atoi(argv[3]) < 1 || atoi(argv[3]) > THREADS_MAX)
        fail("usage: emit URL FOLDER THREADS EVENTS PER_S PROGRESS [RUN]");
    int count = atoi(argv[3]);
    events = strtoull(argv[4], NULL, 10);
    per_s = strtoull(argv[5], NULL, 10);
    run_name = argc == 8 ? argv[7] : "run";
    open_progress(argv[6]);
    library =
        meterline_open(METERLINE_OPTIONS(.redis_url = argv[1],
                                         .spool_folder = strcmp(argv[2], "-") == 0 ? NULL : argv[2],
                                         .spool_max_bytes = 64 << 20, .on_state = on_state));
    if (!library)
        fail(meterline_error());
    uint64_t began_ns = now_ns();
    for (int i = 0; i < count; i++) {
        threads[i] =
            (struct emitter_thread){.number = i, .times = calloc(TIMES_MAX, sizeof(uint32_t))};
        if (!threads[i].times ||
            pthread_create(&threads[i].thread, NULL, emit_all, &threads[i]) != 0)
            fail("start a thread");
    }
    for (int i = 0; i < count; i++) {
        pthread_join(threads[i].thread, NULL);
        refused += threads[i].refused;
    }
    int result = meterline_flush(library, 60000);
    uint64_t took_ns = now_ns() - began_ns;
    meterline_stats(library, &stats);
    print_times(threads, count);
    printf(" events_per_s=%" PRIu64 " emitted=%" PRIu64 " sent=%" PRIu64 " recovered=%" PRIu64
           " refused=%" PRIu64 "\n",
           stats.sent * 1000000000U / took_ns, stats.emitted, stats.sent, stats.recovered, refused);
    if (meterline_close(library, 60000) != METERLINE_OK)
        fail(meterline_error());
    for (int i = 0; i < count; i++)
        free(threads[i].times);
    return result == METERLINE_OK && refused == 0 ? 0 : 1;
}
