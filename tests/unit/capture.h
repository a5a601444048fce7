/* Catches what a function writes to stdout or stderr. */
#ifndef METERLINE_TEST_CAPTURE_H
#define METERLINE_TEST_CAPTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct capture {
    int fd;    /* 1 or 2 */
    int saved; /* the real one */
    int memory;
};

static inline struct capture capture_start(int fd)
{
    struct capture c = {.fd = fd, .saved = dup(fd), .memory = memfd_create("capture", 0)};
    fflush(stdout);
    dup2(c.memory, fd);
    return c;
}

/* Puts the real one back. Returns the text, malloc'd. */
static inline char *capture_end(struct capture *c)
{
    fflush(stdout);
    dup2(c->saved, c->fd);
    off_t length = lseek(c->memory, 0, SEEK_END);
    char *text = calloc(1, (size_t)length + 1);
    if (pread(c->memory, text, (size_t)length, 0) != length)
        abort();
    close(c->saved);
    close(c->memory);
    return text;
}

#endif
