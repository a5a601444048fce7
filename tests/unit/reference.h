/* A page of docs/ that `make docs` makes of a table in the code: printed by the unit test of that
 * table when it is called with --print, else compared with the page that is committed. */
#ifndef METERLINE_TEST_REFERENCE_H
#define METERLINE_TEST_REFERENCE_H

#include "common/str.h"

#include <stdio.h>
#include <string.h>

typedef void (*reference_fn)(struct buf *out);

static inline void assert_reference_is_current(const char *path, reference_fn add)
{
    struct buf wanted = {0};
    struct buf found = {0};
    char part[4096];
    size_t n;
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while ((n = fread(part, 1, sizeof part, file)) > 0)
        buf_add(&found, part, n);
    fclose(file);
    add(&wanted);
    if (strcmp(found.data, wanted.data) != 0)
        fail_msg("%s is not what the table says: run `make docs` and commit it", path);
    buf_done(&wanted);
    buf_done(&found);
}

/* True if the page was asked for, and printed. */
static inline bool print_reference(int argc, char **argv, reference_fn add)
{
    if (argc != 2 || strcmp(argv[1], "--print") != 0)
        return false;
    struct buf out = {0};
    add(&out);
    fputs(out.data, stdout);
    buf_done(&out);
    return true;
}

#endif
