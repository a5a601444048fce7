/* quota TENANT METRIC QUANTITY: do something that costs so much, if the tenant may.
 * cc quota.c $(pkg-config --cflags --libs meterline); REDIS_URL says where Redis is. */
#include <err.h>
#include <meterline.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

int main(int argc, char **argv)
{
    struct meterline_answer answer = {.size = sizeof answer};
    unsigned long random[2];
    char id[40];
    struct meterline *m = meterline_open(
        METERLINE_OPTIONS(.redis_url = getenv("REDIS_URL"), .quota_timeout_ms = 5000));
    if (!m || argc != 4)
        errx(2, "%s", m ? "usage: quota TENANT METRIC QUANTITY" : meterline_error());
    if (getrandom(random, sizeof random, 0) < 0)
        err(2, "getrandom");
    snprintf(id, sizeof id, "%016lx%016lx", random[0], random[1]);
    const struct meterline_ask *ask =
        METERLINE_ASK(.tenant = argv[1], .metric = argv[2], .quantity = argv[3], .id = id);
    /* Redis away: answer.allowed says what the option quota_closed does. */
    if (meterline_reserve(m, ask, &answer) != METERLINE_OK)
        warnx("%s", meterline_error());
    printf("%s %s\n", answer.verdict, answer.reason);
    int failed = answer.allowed && puts("working") < 0; /* the work */
    /* Without an event nothing was used, and what was reserved is given back. */
    const struct meterline_event *used = failed ? NULL : METERLINE_EVENT(.quantity = argv[3]);
    if (answer.allowed && meterline_settle(m, ask, used) != METERLINE_OK)
        warnx("%s", meterline_error());
    meterline_close(m, 5000);
    return !answer.allowed ? 1 : failed ? 2 : 0;
}
