#include "ctl/catalog/catalog_file.h"

#include "common/str.h"
#include "ctl/catalog/catalog_parse.h"
#include "ctl/ctl.h"

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
            return err_set(e, ERR_INPUT, "%s is larger than 16 MiB", name);
        buf_add(out, block, n);
    }
    return ferror(in) ? err_set(e, ERR_IO, "read %s: %s", name, strerror(errno)) : 0;
}

/* name: "-" is standard input. Appends to out. */
static int read_file(const char *name, struct buf *out, struct err *e)
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

int catalog_file_read(const char *name, const char *so_far, json_t **rows)
{
    struct buf text = {0};
    struct buf faults = {0};
    struct err e;
    if (read_file(name, &text, &e)) {
        buf_done(&text);
        return ctl_fail_err(CTL_USAGE, &e);
    }
    *rows = catalog_parse(text.data ? text.data : "", text.length, &faults);
    buf_done(&text);
    if (!*rows) {
        ctl_fail(CTL_FAILED,
                 "%s is not a valid catalog, %s:", strcmp(name, "-") == 0 ? "standard input" : name,
                 so_far);
        fputs(faults.data, stderr);
    }
    buf_done(&faults);
    return *rows ? CTL_DONE : CTL_FAILED;
}
