#include "emitter/line_reader.h"

#include "common/str.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

/* A writer that is about as fast as the emitter leaves short gaps. Waiting for 2 ms makes fuller
 * batches. */
enum { CAPACITY = 2 * LINE_MAX_BYTES, READ_BYTES = 128 * 1024, PATIENCE_MS = 2 };

struct line_reader {
    int fd;          /* borrowed */
    char *data;      /* CAPACITY bytes; owned */
    size_t start;    /* unread data begins here … */
    size_t end;      /* … and ends here */
    size_t searched; /* no newline lies between start and here */
    uint64_t number; /* of the last line */
    bool skipping;   /* in the rest of a line that is too long */
    bool ended;      /* read() has given 0 */
    bool may_wait;
};

struct line_reader *line_reader_new(int fd)
{
    struct line_reader *r = xcalloc(1, sizeof *r);
    r->fd = fd;
    r->data = xmalloc(CAPACITY);
    return r;
}

void line_reader_free(struct line_reader *r)
{
    free(r->data);
    free(r);
}

uint64_t line_reader_number(const struct line_reader *r)
{
    return r->number;
}

static bool has_input(const struct line_reader *r)
{
    struct pollfd p = {.fd = r->fd, .events = POLLIN};
    return poll(&p, 1, PATIENCE_MS) != 0; /* read() will report an error */
}

static enum line_state read_more(struct line_reader *r, struct err *e)
{
    if (!r->may_wait && !has_input(r)) {
        r->may_wait = true;
        return LINE_WAIT;
    }
    r->may_wait = false;
    memmove(r->data, r->data + r->start, r->end - r->start);
    r->end -= r->start;
    r->searched -= r->start;
    r->start = 0;
    ssize_t n = read(r->fd, r->data + r->end, READ_BYTES);
    if (n < 0) {
        err_set(e, errno == EINTR ? ERR_CANCELED : ERR_IO, "read: %s", strerror(errno));
        return LINE_FAILED;
    }
    r->end += (size_t)n;
    r->ended = n == 0;
    return LINE_READ;
}

static void trim(const struct line_reader *r, struct slice *line)
{
    if (r->number == 1 && line->length >= 3 && memcmp(line->data, "\xef\xbb\xbf", 3) == 0) {
        line->data += 3;
        line->length -= 3;
    }
    if (line->length > 0 && line->data[line->length - 1] == '\r')
        line->length--;
}

/* The line up to `stop`, with `skip` bytes of newline after it. */
static enum line_state pop_line(struct line_reader *r, size_t stop, size_t skip, struct slice *line)
{
    bool too_long = r->skipping || stop - r->start > LINE_MAX_BYTES;
    *line = (struct slice){r->data + r->start, stop - r->start};
    r->start = r->searched = stop + skip;
    r->number++;
    r->skipping = false;
    trim(r, line);
    return too_long ? LINE_TOO_LONG : LINE_READ;
}

enum line_state line_reader_next(struct line_reader *r, struct slice *line, struct err *e)
{
    for (;;) {
        char *newline = memchr(r->data + r->searched, '\n', r->end - r->searched);
        if (newline)
            return pop_line(r, (size_t)(newline - r->data), 1, line);
        r->searched = r->end;
        if (r->ended)
            return r->start < r->end || r->skipping ? pop_line(r, r->end, 0, line) : LINE_END;
        /* Forget what is there of a line that is too long already. */
        if (r->end - r->start > LINE_MAX_BYTES) {
            r->skipping = true;
            r->start = r->end;
        }
        enum line_state state = read_more(r, e);
        if (state != LINE_READ)
            return state;
    }
}
