/* emit TENANT METRIC QUANTITY ID: emits one event; the library sends it again until Redis has it.
 * cc emit.c $(pkg-config --cflags --libs meterline); REDIS_URL says where Redis is. */
#include <err.h>
#include <meterline.h>
#include <stddef.h>
#include <stdlib.h>

enum { PATIENCE_MS = 60000 };

int main(int argc, char **argv)
{
    /* With a folder of its own, events outlive the process; without SPOOL, they are in memory. */
    struct meterline *m = meterline_open(
        METERLINE_OPTIONS(.redis_url = getenv("REDIS_URL"), .spool_folder = getenv("SPOOL")));
    if (!m || argc != 5)
        errx(2, "%s", m ? "usage: emit TENANT METRIC QUANTITY ID" : meterline_error());
    /* It returns at once, whether Redis is there or not. Not taken: said at once, too. */
    int failed = meterline_emit(m, METERLINE_EVENT(.tenant = argv[1], .metric = argv[2],
                                                   .quantity = argv[3], .id = argv[4]));
    if (failed)
        warnx("%s", meterline_error());
    /* A service does this once, when it ends. */
    if (meterline_close(m, PATIENCE_MS))
        errx(1, "%s", meterline_error());
    return failed ? 1 : 0;
}
