/* The emitter's spool: what was appended is read in order, by this process or the next one. */
#include "emitter/spool/spool.h"

#include "common/clock.h"
#include "common/str.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { SEGMENT = 32 << 10, TEXT_MAX = 64 };

struct bench {
    char folder[64];
    struct spool_terms terms;
    struct spool *spool;
    char faults[1024];
};

static void on_fault(void *owner, const char *text)
{
    struct bench *b = owner;
    size_t used = strlen(b->faults);
    snprintf(b->faults + used, sizeof b->faults - used, "%s\n", text);
}

static void open_spool(struct bench *b)
{
    struct err e;
    b->spool = spool_open(&b->terms, &e);
    if (!b->spool)
        fail_msg("%s", e.text);
}

static int set_up(void **state)
{
    struct bench *b = xcalloc(1, sizeof *b);
    strcpy(b->folder, "/tmp/meterline-spool-XXXXXX");
    assert_non_null(mkdtemp(b->folder));
    b->terms = (struct spool_terms){.folder = b->folder,
                                    .max_bytes = 16 * SEGMENT,
                                    .segment_bytes = SEGMENT,
                                    .on_fault = on_fault,
                                    .owner = b};
    *state = b;
    return 0;
}

/* How many files end in that. */
static int count_files(const struct bench *b, const char *suffix)
{
    DIR *d = opendir(b->folder);
    int n = 0;
    for (struct dirent *f = readdir(d); f; f = readdir(d)) {
        size_t length = strlen(f->d_name);
        n += length >= strlen(suffix) && strcmp(f->d_name + length - strlen(suffix), suffix) == 0;
    }
    closedir(d);
    return n;
}

static int tear_down(void **state)
{
    struct bench *b = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", b->folder);
    assert_int_equal(system(command), 0);
    free(b);
    return 0;
}

static enum spool_result append(struct bench *b, int n)
{
    char text[TEXT_MAX];
    struct err e;
    snprintf(text, sizeof text, "record %d of many that are in this spool", n);
    return spool_append(b->spool, n % 7, text, strlen(text), 0, &e);
}

/* The number of the next record, whose place is kept; -1: none. */
static int next(struct bench *b, struct spool_place *place)
{
    struct segment_record r;
    int n;
    char text[TEXT_MAX];
    if (!spool_next(b->spool, &r, place))
        return -1;
    assert_int_equal(sscanf(r.data, "record %d of many", &n), 1);
    snprintf(text, sizeof text, "record %d of many that are in this spool", n);
    assert_int_equal(r.length, strlen(text));
    assert_memory_equal(r.data, text, r.length);
    assert_int_equal(r.shard, n % 7);
    return n;
}

static void records_come_in_order_and_leave_no_file(void **state)
{
    struct bench *b = *state;
    struct spool_place place = {0};
    open_spool(b);
    assert_int_equal(next(b, &place), -1);
    for (int n = 0; n < 3000; n++)
        assert_int_equal(append(b, n), SPOOL_DONE);
    assert_int_equal(spool_appended(b->spool), 3000);
    assert_true(count_files(b, SEGMENT_SUFFIX) > 5);
    for (int n = 0; n < 3000; n++) {
        assert_int_equal(next(b, &place), n);
        if (n % 100 == 99)
            spool_settle(b->spool, place);
        spool_maintain(b->spool);
    }
    assert_int_equal(next(b, &place), -1);
    spool_close(b->spool);
    assert_int_equal(count_files(b, SEGMENT_SUFFIX), 0);
    assert_string_equal(b->faults, "");
}

/* What was settled may be read again, at most as far as the last one that was not. */
static void what_was_not_settled_is_read_by_the_next(void **state)
{
    struct bench *b = *state;
    struct spool_place place = {0};
    int n;
    open_spool(b);
    for (n = 0; n < 2000; n++)
        assert_int_equal(append(b, n), SPOOL_DONE);
    for (n = 0; n < 1234; n++)
        assert_int_equal(next(b, &place), n);
    spool_settle(b->spool, place);
    spool_close(b->spool);
    open_spool(b);
    assert_int_equal(append(b, 2000), SPOOL_DONE);
    for (n = 1234; n <= 2000; n++)
        assert_int_equal(next(b, &place), n);
    assert_int_equal(next(b, &place), -1);
    spool_settle(b->spool, place);
    spool_close(b->spool);
    assert_int_equal(count_files(b, SEGMENT_SUFFIX), 0);
}

/* A child that is killed while four threads append. How far each had come is in shared memory. */
static struct bench *shared_bench;
static _Atomic int *done;

static void *append_for_ever(void *owner)
{
    int thread = *(int *)owner;
    for (int i = 0;; i++) {
        int n = i * 4 + thread;
        while (append(shared_bench, n) != SPOOL_DONE)
            ;
        atomic_store(&done[thread], i + 1);
    }
    return NULL;
}

static void be_killed(void)
{
    static const int NUMBERS[] = {0, 1, 2, 3};
    pthread_t threads[4];
    open_spool(shared_bench);
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, append_for_ever, (void *)&NUMBERS[i]);
    pthread_join(threads[0], NULL);
}

static void a_process_that_is_killed_loses_nothing_it_said_yes_to(void **state)
{
    struct bench *b = *state;
    struct spool_place place = {0};
    int seen[4] = {0};
    int n;
    b->terms.max_bytes = 256 * SEGMENT;
    shared_bench = b;
    char name[] = "/tmp/meterline-done-XXXXXX";
    int fd = mkstemp(name);
    assert_int_equal(ftruncate(fd, 4096), 0);
    done = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    pid_t child = fork();
    if (child == 0) {
        be_killed();
        _exit(1);
    }
    while (atomic_load(&done[0]) < 5000)
        usleep(100);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    open_spool(b);
    while ((n = next(b, &place)) >= 0) {
        assert_int_equal(n / 4, seen[n % 4]);
        seen[n % 4]++;
        spool_settle(b->spool, place);
    }
    for (int i = 0; i < 4; i++) {
        assert_true(seen[i] >= atomic_load(&done[i]));
        assert_true(seen[i] <= atomic_load(&done[i]) + 1);
    }
    spool_close(b->spool);
    assert_int_equal(count_files(b, SEGMENT_SUFFIX), 0);
    assert_string_equal(b->faults, "");
    close(fd);
    unlink(name);
}

static char *path_of(const struct bench *b, int number)
{
    return xasprintf("%s/%020d" SEGMENT_SUFFIX, b->folder, number);
}

/* Bytes of a file become others. */
static void overwrite(const char *path, off_t at, const char *bytes, size_t length)
{
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, length, at), (ssize_t)length);
    close(fd);
}

static void a_damaged_record_costs_itself_alone_and_the_file_is_kept(void **state)
{
    struct bench *b = *state;
    struct spool_place place = {0};
    char *path = path_of(b, 1);
    off_t room = (off_t)segment_room_of(strlen("record 0 of many that are in this spool"));
    open_spool(b);
    for (int n = 0; n < 9; n++)
        append(b, n);
    spool_close(b->spool);
    overwrite(path, SEGMENT_HEADER_SIZE + 4 * room + 20, "X", 1);
    open_spool(b);
    for (int n = 0; n < 9; n++)
        if (n != 4)
            assert_int_equal(next(b, &place), n);
    spool_settle(b->spool, place);
    assert_int_equal(next(b, &place), -1);
    assert_non_null(strstr(b->faults, "damaged"));
    spool_close(b->spool);
    assert_int_equal(count_files(b, SEGMENT_SUFFIX), 0);
    assert_int_equal(count_files(b, ".damaged"), 1);
    free(path);
}

/* Whoever may choose the text of an event cannot make a record of another one of it. */
static void a_record_within_a_torn_record_is_none(void **state)
{
    struct bench *b = *state;
    struct spool_place place = {0};
    char *path = path_of(b, 1);
    char copy[512];
    int fd;
    off_t room = (off_t)segment_room_of(strlen("record 0 of many that are in this spool"));
    open_spool(b);
    append(b, 0);
    append(b, 1);
    append(b, 2);
    spool_close(b->spool);
    /* The first one, with its checksum, stands where the second was being written. */
    fd = open(path, O_RDWR);
    assert_int_equal(pread(fd, copy, (size_t)room, SEGMENT_HEADER_SIZE), room);
    close(fd);
    overwrite(path, SEGMENT_HEADER_SIZE + room, "\0\0\0\0\0\0\0\0", 8);
    overwrite(path, SEGMENT_HEADER_SIZE + room + 16, copy, (size_t)room - 16);
    open_spool(b);
    assert_int_equal(next(b, &place), 0);
    assert_int_equal(next(b, &place), 2);
    assert_int_equal(next(b, &place), -1);
    spool_close(b->spool);
    free(path);
}

static void what_is_no_segment_is_told_and_left(void **state)
{
    struct bench *b = *state;
    struct spool_place place = {0};
    char *first = path_of(b, 1);
    char *empty = path_of(b, 8);
    char *cut = path_of(b, 9);
    open_spool(b);
    append(b, 0);
    spool_close(b->spool);
    overwrite(first, 0, "nonsense", 8);
    close(open(empty, O_CREAT | O_WRONLY, 0600));
    close(open(cut, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(truncate(cut, SEGMENT_HEADER_SIZE + 100), 0);
    open_spool(b);
    assert_non_null(strstr(b->faults, "00001.spool is no segment of a spool, or its first page"));
    assert_non_null(strstr(b->faults, "00008.spool is too short"));
    assert_non_null(strstr(b->faults, "00009.spool is no segment"));
    assert_int_equal(append(b, 5), SPOOL_DONE);
    assert_int_equal(next(b, &place), 5);
    spool_settle(b->spool, place);
    spool_close(b->spool);
    assert_int_equal(count_files(b, SEGMENT_SUFFIX), 3);
    free(first);
    free(empty);
    free(cut);
}

static void the_bound_is_kept_and_room_comes_back(void **state)
{
    struct bench *b = *state;
    struct spool_place place = {0};
    struct err e;
    int taken = 0;
    b->terms.max_bytes = 4 * SEGMENT;
    open_spool(b);
    while (append(b, taken) == SPOOL_DONE)
        taken++;
    assert_true(taken > 1000);
    assert_true(spool_bytes(b->spool) <= b->terms.max_bytes);
    assert_int_equal(spool_append(b->spool, 0, "x", 1, 20, &e), SPOOL_FULL);
    spool_maintain(b->spool);
    for (int n = 0; n < taken; n++)
        assert_int_equal(next(b, &place), n);
    spool_settle(b->spool, place);
    assert_int_equal(append(b, taken), SPOOL_DONE);
    assert_int_equal(next(b, &place), taken);
    assert_true(spool_bytes(b->spool) <= b->terms.max_bytes);
    spool_close(b->spool);
}

static void a_full_disk_is_an_error_and_costs_nothing_that_was_taken(void **state)
{
    struct bench *b = *state;
    struct spool_place place = {0};
    struct err e;
    const struct rlimit none = {SEGMENT / 2, RLIM_INFINITY};
    struct rlimit before;
    int taken = 0;
    enum spool_result result;
    char text[TEXT_MAX];
    memset(text, 'x', sizeof text);
    open_spool(b);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    setrlimit(RLIMIT_FSIZE, &none);
    while ((result = append(b, taken)) == SPOOL_DONE)
        taken++;
    assert_int_equal(result, SPOOL_FAILED);
    assert_int_equal(spool_append(b->spool, 0, text, sizeof text, 0, &e), SPOOL_FAILED);
    assert_non_null(strstr(e.text, "take 32768 bytes for"));
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(append(b, taken), SPOOL_DONE);
    for (int n = 0; n <= taken; n++)
        assert_int_equal(next(b, &place), n);
    spool_settle(b->spool, place);
    spool_close(b->spool);
    assert_int_equal(count_files(b, SEGMENT_SUFFIX), 0);
}

static void a_folder_is_one_process_and_one_spool(void **state)
{
    struct bench *b = *state;
    struct err e;
    int status;
    open_spool(b);
    assert_null(spool_open(&b->terms, &e));
    assert_non_null(strstr(e.text, "open in this process already"));
    pid_t child = fork();
    if (child == 0) {
        /* Not by what this process remembers of its parent. */
        b->terms.folder = xasprintf("%s/.", b->folder);
        int fd = open(xasprintf("%s/lock", b->folder), O_RDWR);
        struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        _exit(fcntl(fd, F_SETLK, &whole) == -1 ? 0 : 1);
    }
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    spool_close(b->spool);
    open_spool(b);
    spool_close(b->spool);
}

static void a_folder_that_cannot_be_is_told(void **state)
{
    struct bench *b = *state;
    struct err e;
    b->terms.folder = "/proc/self/spool";
    assert_null(spool_open(&b->terms, &e));
    assert_non_null(strstr(e.text, "make the folder /proc/self/spool"));
    b->terms.folder = "/dev/null";
    assert_null(spool_open(&b->terms, &e));
    assert_non_null(strstr(e.text, "open the folder /dev/null"));
}

static void without_a_folder_it_is_in_memory(void **state)
{
    struct bench *b = *state;
    struct spool_place place = {0};
    b->terms.folder = NULL;
    open_spool(b);
    for (int n = 0; n < 2000; n++) {
        assert_int_equal(append(b, n), SPOOL_DONE);
        assert_int_equal(next(b, &place), n);
        spool_settle(b->spool, place);
    }
    assert_true(spool_bytes(b->spool) <= 2 * SEGMENT);
    spool_close(b->spool);
}

static void *append_later(void *owner)
{
    struct bench *b = owner;
    usleep(20000);
    append(b, 1);
    return NULL;
}

static void a_reader_that_sleeps_is_woken(void **state)
{
    struct bench *b = *state;
    struct spool_place place = {0};
    pthread_t thread;
    int64_t began_ms = clock_monotonic_ms();
    open_spool(b);
    pthread_create(&thread, NULL, append_later, b);
    while (next(b, &place) < 0)
        spool_wait(b->spool, 60000);
    assert_true(clock_monotonic_ms() - began_ms < 30000);
    pthread_join(thread, NULL);
    spool_close(b->spool);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        TEST(records_come_in_order_and_leave_no_file),
        TEST(what_was_not_settled_is_read_by_the_next),
        TEST(a_process_that_is_killed_loses_nothing_it_said_yes_to),
        TEST(a_damaged_record_costs_itself_alone_and_the_file_is_kept),
        TEST(a_record_within_a_torn_record_is_none),
        TEST(what_is_no_segment_is_told_and_left),
        TEST(the_bound_is_kept_and_room_comes_back),
        TEST(a_full_disk_is_an_error_and_costs_nothing_that_was_taken),
        TEST(a_folder_is_one_process_and_one_spool),
        TEST(a_folder_that_cannot_be_is_told),
        TEST(without_a_folder_it_is_in_memory),
        TEST(a_reader_that_sleeps_is_woken),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
