#include "common/lookup.h"

#include <assert.h>

static int n_running;

int lookup_start(uv_loop_t *loop, uv_getaddrinfo_t *request, uv_getaddrinfo_cb done,
                 const char *host)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    int failed = uv_getaddrinfo(loop, request, done, host, NULL, &hints);
    if (!failed)
        n_running++;
    return failed;
}

void lookup_ended(void)
{
    assert(n_running > 0);
    n_running--;
}

bool lookup_runs(void)
{
    return n_running > 0;
}
