/* A whole file in memory. */
#include "ctl/catalog/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { FILE_MAX_BYTES = 16 << 20 };

static int read_all(FILE *in, const char *name, struct buf *out, struct err *e)
{
    char block[8192];
    size_t n;

    while ((n = fread(block, 1, sizeof block, in)) > 0) {
        if (out->length + n > FILE_MAX_BYTES)
            return err_set(e, ERR_INPUT, "%s: larger than 16 MiB", name);
        buf_add(out, block, n);
    }
    return ferror(in) ? err_set(e, ERR_IO, "read %s: %s", name, strerror(errno)) : 0;
}

int file_read(const char *name, struct buf *out, struct err *e)
{
    if (strcmp(name, "-") == 0)
        return read_all(stdin, "standard input", out, e);
    FILE *in = fopen(name, "re");
    if (!in)
        return err_set(e, ERR_IO, "open %s: %s", name, strerror(errno));
    int result = read_all(in, name, out, e);
    fclose(in);
    return result;
}
