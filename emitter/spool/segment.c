#include "emitter/spool/segment.h"

#include "common/str.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char MAGIC[8] = "mlspool1";

/* At the start of the file. Numbers are as the machine has them: a spool stays on its machine. */
struct segment_header {
    char magic[sizeof MAGIC];
    uint64_t size;
    unsigned char key[crypto_shorthash_KEYBYTES];
    _Atomic uint64_t settled; /* records that end up to here are in Redis */
};
static_assert(sizeof(struct segment_header) <= SEGMENT_HEADER_SIZE, "the header has its page");

/* Before each record's bytes. A checksum of 0 says: not written yet. */
struct record_header {
    _Atomic uint64_t checksum;
    uint32_t length;
    uint32_t shard;
};
enum { ALIGNMENT = sizeof(uint64_t) };

static struct segment_header *header_of(const struct segment *s)
{
    return (struct segment_header *)(void *)s->bytes;
}

static struct record_header *record_at(const struct segment *s, size_t at)
{
    return (struct record_header *)(void *)(s->bytes + at);
}

size_t segment_room_of(size_t length)
{
    return (sizeof(struct record_header) + length + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* Of what stands at `at`, and of its place. Never 0. */
static uint64_t checksum_at(const struct segment *s, size_t at)
{
    const struct record_header *r = record_at(s, at);
    uint64_t parts[2] = {0, at};
    uint64_t sum = 0;
    crypto_shorthash((unsigned char *)&parts[0], (const unsigned char *)&r->length,
                     sizeof r->length + sizeof r->shard + r->length, header_of(s)->key);
    crypto_shorthash((unsigned char *)&sum, (const unsigned char *)parts, sizeof parts,
                     header_of(s)->key);
    return sum ? sum : 1;
}

int segment_map(struct segment *s, struct err *e)
{
    if (s->bytes)
        return 0;
    int flags = s->fd >= 0 ? MAP_SHARED | MAP_POPULATE : MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE;
    void *bytes = mmap(NULL, s->size, PROT_READ | PROT_WRITE, flags, s->fd, 0);
    if (bytes == MAP_FAILED)
        return err_set(e, ERR_IO, "map %s: %s", s->path ? s->path : "memory", strerror(errno));
    s->bytes = bytes;
    return 0;
}

void segment_unmap(struct segment *s)
{
    if (s->bytes && s->fd >= 0) {
        munmap(s->bytes, s->size);
        s->bytes = NULL;
    }
}

static struct segment *new_segment(char *path, uint64_t number, size_t size)
{
    struct segment *s = xcalloc(1, sizeof *s);
    s->path = path;
    s->fd = -1;
    s->size = size;
    s->number = number;
    s->reserved = SEGMENT_HEADER_SIZE;
    s->read = SEGMENT_HEADER_SIZE;
    s->read_end = SEGMENT_HEADER_SIZE;
    return s;
}

void segment_free(struct segment *s)
{
    if (s->bytes)
        munmap(s->bytes, s->size);
    if (s->fd >= 0)
        close(s->fd);
    free(s->path);
    free(s);
}

/* Under another name until it is one. */
static int make_file(struct segment *s, const char *unfinished, struct err *e)
{
    s->fd = open(unfinished, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (s->fd < 0)
        return err_set(e, ERR_IO, "create %s: %s", s->path, strerror(errno));
    int failed = posix_fallocate(s->fd, 0, (off_t)s->size);
    return failed
               ? err_set(e, ERR_IO, "take %zu bytes for %s: %s", s->size, s->path, strerror(failed))
               : 0;
}

static void fill_header(struct segment *s)
{
    struct segment_header *h = header_of(s);
    h->size = s->size;
    h->settled = SEGMENT_HEADER_SIZE;
    randombytes_buf(h->key, sizeof h->key);
    memcpy(h->magic, MAGIC, sizeof MAGIC);
}

struct segment *segment_create(const char *folder, uint64_t number, size_t size, struct err *e)
{
    unsigned long long n = number;
    char *path = folder ? xasprintf("%s/%020llu" SEGMENT_SUFFIX, folder, n) : NULL;
    char *unfinished = folder ? xasprintf("%s/%020llu" SEGMENT_UNFINISHED, folder, n) : NULL;
    struct segment *s = new_segment(path, number, size);
    int failed = (path && make_file(s, unfinished, e)) || segment_map(s, e);
    if (!failed) {
        fill_header(s);
        failed = path && rename(unfinished, path) != 0 &&
                 err_set(e, ERR_IO, "rename %s: %s", unfinished, strerror(errno));
    }
    if (failed) {
        if (s->fd >= 0)
            unlink(unfinished);
        segment_free(s);
        s = NULL;
    }
    free(unfinished);
    return s;
}

static int check_old(struct segment *s, struct err *e)
{
    const struct segment_header *h = header_of(s);
    assert(h);
    if (memcmp(h->magic, MAGIC, sizeof MAGIC) != 0 || h->size != s->size ||
        h->settled < SEGMENT_HEADER_SIZE || h->settled > s->size || h->settled % ALIGNMENT != 0)
        return err_set(e, ERR_INPUT, "%s is no segment of a spool, or its first page is damaged",
                       s->path);
    s->read = (size_t)h->settled;
    s->read_end = s->read;
    return 0;
}

static int open_old(struct segment *s, struct err *e)
{
    struct stat found;
    s->fd = open(s->path, O_RDWR | O_CLOEXEC);
    if (s->fd < 0 || fstat(s->fd, &found) != 0)
        return err_set(e, ERR_IO, "open %s: %s", s->path, strerror(errno));
    s->size = (size_t)found.st_size;
    if (found.st_size < SEGMENT_HEADER_SIZE)
        return err_set(e, ERR_INPUT, "%s is too short for a segment of a spool", s->path);
    return segment_map(s, e) ? -1 : check_old(s, e);
}

struct segment *segment_open(const char *path, uint64_t number, struct err *e)
{
    struct segment *s = new_segment(xstrdup(path), number, 0);
    if (open_old(s, e)) {
        segment_free(s);
        return NULL;
    }
    s->is_old = true;
    s->reserved = s->size;
    s->closed = 1;
    return s;
}

void segment_remove(struct segment *s)
{
    if (s->path && s->is_damaged) {
        char *kept = xasprintf("%s.damaged", s->path);
        rename(s->path, kept);
        free(kept);
    } else if (s->path) {
        unlink(s->path);
    }
    segment_free(s);
}

void segment_write(struct segment *s, size_t at, int64_t shard, const char *data, size_t length)
{
    struct record_header *r = record_at(s, at);
    r->length = (uint32_t)length;
    r->shard = (uint32_t)shard;
    memcpy(r + 1, data, length);
    atomic_store_explicit(&r->checksum, checksum_at(s, at), memory_order_release);
}

/* Whether a whole record stands there that was written for this place. */
static bool is_record(const struct segment *s, size_t at)
{
    const struct record_header *r = record_at(s, at);
    uint64_t checksum = atomic_load_explicit(&r->checksum, memory_order_acquire);
    return checksum != 0 && r->length <= SEGMENT_RECORD_MAX &&
           segment_room_of(r->length) <= s->size - at && checksum == checksum_at(s, at);
}

static bool has_header_room(const struct segment *s, size_t at)
{
    return at + sizeof(struct record_header) <= s->size;
}

/* In a segment of a process that has ended: what was reserved and never written is passed over, as
 * emit did not say yes to it. What was written and has changed since is damage. */
static bool find_record(struct segment *s)
{
    if (has_header_room(s, s->read) && !is_record(s, s->read) &&
        atomic_load(&record_at(s, s->read)->checksum) != 0)
        s->is_damaged = true;
    while (has_header_room(s, s->read)) {
        if (is_record(s, s->read))
            return true;
        s->read += ALIGNMENT;
    }
    s->read = s->size;
    return false;
}

/* In a segment of ours: a record whose checksum is missing is being written. */
static bool is_written(const struct segment *s)
{
    size_t reserved = atomic_load_explicit(&s->reserved, memory_order_acquire);
    return s->read < reserved &&
           atomic_load_explicit(&record_at(s, s->read)->checksum, memory_order_acquire) != 0;
}

int segment_next(struct segment *s, struct segment_record *out)
{
    if (!(s->is_old ? find_record(s) : is_written(s)))
        return 0;
    const struct record_header *r = record_at(s, s->read);
    s->read += segment_room_of(r->length);
    s->read_end = s->read;
    *out = (struct segment_record){
        .data = (const char *)(r + 1), .length = r->length, .shard = r->shard, .end = s->read};
    return 1;
}

void segment_settle(struct segment *s, size_t end)
{
    atomic_store_explicit(&header_of(s)->settled, end, memory_order_release);
}

bool segment_is_settled(const struct segment *s)
{
    return header_of(s)->settled >= s->read_end;
}

bool segment_is_read(const struct segment *s)
{
    return atomic_load(&s->closed) && atomic_load(&s->writers) == 0 &&
           s->read == atomic_load(&s->reserved);
}

int segment_sync(const struct segment *s, struct err *e)
{
    if (s->fd < 0 || fdatasync(s->fd) == 0)
        return 0;
    return err_set(e, ERR_IO, "sync %s: %s", s->path, strerror(errno));
}
