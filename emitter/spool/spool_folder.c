#include "emitter/spool/spool_folder.h"

#include "common/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_NAME "lock"

struct spool_folder {
    char *path;
    int folder_fd;
    int lock_fd;
    dev_t device; /* of the lock: what this process has locked */
    ino_t inode;
    struct spool_folder *next_open;
};

/* A lock of fcntl keeps other processes out, and a child of fork does not inherit it. It does not
 * keep us out ourselves, and any close of the file would end it: so we look here before. */
static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;
static struct spool_folder *open_folders;

static bool is_open_here(dev_t device, ino_t inode)
{
    for (const struct spool_folder *f = open_folders; f; f = f->next_open)
        if (f->device == device && f->inode == inode)
            return true;
    return false;
}

static int take_lock(struct spool_folder *f, const char *path, struct err *e)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    f->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (f->lock_fd < 0)
        return err_set(e, ERR_IO, "open %s: %s", path, strerror(errno));
    if (fcntl(f->lock_fd, F_SETLK, &whole) == 0)
        return 0;
    if (errno == EACCES || errno == EAGAIN)
        return err_set(e, ERR_FENCED, "another process has the spool %s: give each its own folder",
                       f->path);
    return err_set(e, ERR_IO, "lock %s: %s", path, strerror(errno));
}

static int lock_once(struct spool_folder *f, const char *path, struct err *e)
{
    struct stat found;
    if (stat(path, &found) == 0 && is_open_here(found.st_dev, found.st_ino))
        return err_set(e, ERR_FENCED, "the spool %s is open in this process already", f->path);
    if (take_lock(f, path, e))
        return -1;
    if (fstat(f->lock_fd, &found) != 0)
        return err_set(e, ERR_IO, "look at %s: %s", path, strerror(errno));
    f->device = found.st_dev;
    f->inode = found.st_ino;
    f->next_open = open_folders;
    open_folders = f;
    return 0;
}

static int open_all(struct spool_folder *f, struct err *e)
{
    if (mkdir(f->path, 0700) != 0 && errno != EEXIST)
        return err_set(e, ERR_IO, "make the folder %s: %s", f->path, strerror(errno));
    f->folder_fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->folder_fd < 0)
        return err_set(e, ERR_IO, "open the folder %s: %s", f->path, strerror(errno));
    char *path = xasprintf("%s/" LOCK_NAME, f->path);
    pthread_mutex_lock(&open_lock);
    int failed = lock_once(f, path, e);
    pthread_mutex_unlock(&open_lock);
    free(path);
    return failed;
}

struct spool_folder *spool_folder_open(const char *path, struct err *e)
{
    struct spool_folder *f = xcalloc(1, sizeof *f);
    f->path = xstrdup(path);
    f->folder_fd = -1;
    f->lock_fd = -1;
    if (open_all(f, e) == 0)
        return f;
    spool_folder_close(f);
    return NULL;
}

void spool_folder_close(struct spool_folder *f)
{
    pthread_mutex_lock(&open_lock);
    for (struct spool_folder **at = &open_folders; *at; at = &(*at)->next_open)
        if (*at == f) {
            *at = f->next_open;
            break;
        }
    if (f->lock_fd >= 0)
        close(f->lock_fd);
    pthread_mutex_unlock(&open_lock);
    if (f->folder_fd >= 0)
        close(f->folder_fd);
    free(f->path);
    free(f);
}

/* The number in a segment's name, *end behind it; 0: it is none. */
static uint64_t number_of(const char *name, const char **end)
{
    char *behind = NULL;
    uint64_t number = strtoull(name, &behind, 10);
    *end = behind;
    return behind != name ? number : 0;
}

static bool is_unfinished(const char *name)
{
    const char *end;
    return number_of(name, &end) > 0 && strcmp(end, SEGMENT_UNFINISHED) == 0;
}

static int is_segment(const struct dirent *entry)
{
    const char *end;
    return is_unfinished(entry->d_name) ||
           (number_of(entry->d_name, &end) > 0 && strcmp(end, SEGMENT_SUFFIX) == 0);
}

static int by_number(const struct dirent **a, const struct dirent **b)
{
    const char *end;
    uint64_t x = number_of((*a)->d_name, &end);
    uint64_t y = number_of((*b)->d_name, &end);
    return (x > y) - (x < y);
}

int spool_folder_read(const struct spool_folder *f, void (*take)(void *owner, struct segment *s),
                      void (*skip)(void *owner, uint64_t number, const char *why), void *owner,
                      struct err *e)
{
    struct dirent **found;
    int n = scandir(f->path, &found, is_segment, by_number);
    if (n < 0)
        return err_set(e, ERR_IO, "list the folder %s: %s", f->path, strerror(errno));
    for (int i = 0; i < n; i++) {
        const char *end;
        struct err why;
        uint64_t number = number_of(found[i]->d_name, &end);
        char *path = xasprintf("%s/%s", f->path, found[i]->d_name);
        struct segment *s = NULL;
        if (is_unfinished(found[i]->d_name))
            unlink(path);
        else if ((s = segment_open(path, number, &why)))
            take(owner, s);
        else
            skip(owner, number, why.text);
        free(path);
        free(found[i]);
    }
    free(found);
    return 0;
}

int spool_folder_sync(const struct spool_folder *f, struct err *e)
{
    return fsync(f->folder_fd) == 0
               ? 0
               : err_set(e, ERR_IO, "sync the folder %s: %s", f->path, strerror(errno));
}
