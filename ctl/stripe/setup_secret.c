#include "ctl/stripe/setup_secret.h"

#include "common/str.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX_BYTES = 4096, SALT_BYTES = (SETUP_SALT_SIZE - 1) / 2 };

static char *asked_name(const char *file)
{
    return xasprintf("%s.asked", file);
}

/* The first line. Returns its length, 0 without a file, or -1 with e. */
static ssize_t read_line(const char *name, char out[FILE_MAX_BYTES], struct err *e)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    out[0] = '\0';
    if (fd < 0)
        return errno == ENOENT ? 0 : err_set(e, ERR_IO, "open %s: %s", name, strerror(errno));
    ssize_t n = read(fd, out, FILE_MAX_BYTES - 1);
    if (n < 0)
        err_set(e, ERR_IO, "read %s: %s", name, strerror(errno));
    close(fd);
    if (n < 0)
        return -1;
    out[n] = '\0';
    out[strcspn(out, "\r\n")] = '\0';
    return (ssize_t)strlen(out);
}

/* A new file that nobody else can read. It is there whole, or not at all, also after a crash. */
static int write_file(const char *name, const char *text, struct err *e)
{
    char *part = xasprintf("%s.part", name);
    size_t length = strlen(text);
    (void)unlink(part);
    int fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int failed = fd < 0 || write(fd, text, length) != (ssize_t)length || fsync(fd);
    if (fd >= 0)
        failed |= close(fd);
    if (failed || rename(part, name))
        failed = err_set(e, ERR_IO, "write %s: %s", name, strerror(errno));
    free(part);
    return failed;
}

enum setup_secret setup_secret_of(const char *file)
{
    char *asked = asked_name(file);
    bool is_pending = access(asked, F_OK) == 0;
    free(asked);
    if (is_pending)
        return SECRET_PENDING;
    return access(file, F_OK) == 0 ? SECRET_KEPT : SECRET_NONE;
}

int setup_secret_begin(const char *file, char salt[SETUP_SALT_SIZE], struct err *e)
{
    char line[FILE_MAX_BYTES];
    unsigned char random[SALT_BYTES];
    char *asked = asked_name(file);
    ssize_t length = read_line(asked, line, e);
    int failed = length < 0 ? -1 : 0;
    if (length == SETUP_SALT_SIZE - 1) {
        memcpy(salt, line, SETUP_SALT_SIZE);
    } else if (!failed) {
        randombytes_buf(random, sizeof random);
        sodium_bin2hex(salt, SETUP_SALT_SIZE, random, sizeof random);
        failed = write_file(asked, salt, e);
    }
    free(asked);
    return failed;
}

int setup_secret_end(const char *file, const char *secret, struct err *e)
{
    char before[FILE_MAX_BYTES];
    char *asked = asked_name(file);
    int failed = read_line(file, before, e) < 0;
    bool has_it = strncmp(before, secret, strlen(secret)) == 0;
    char *text = has_it ? xasprintf("%s\n", before)
                        : xasprintf("%s%s%s\n", secret, *before ? "," : "", before);
    if (!failed)
        failed = write_file(file, text, e);
    if (!failed && unlink(asked) && errno != ENOENT)
        failed = err_set(e, ERR_IO, "delete %s: %s", asked, strerror(errno));
    sodium_memzero(before, sizeof before);
    sodium_memzero(text, strlen(text));
    free(text);
    free(asked);
    return failed ? -1 : 0;
}
