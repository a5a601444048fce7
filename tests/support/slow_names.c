/* Preloaded: names that end in ".slow" are looked up for SLOW_NAMES_S seconds, and then nobody
 * knows them, as where no name server answers. */
#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int lookup_fn(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **found)
{
    const char *end = host ? strrchr(host, '.') : NULL;
    if (end && !strcmp(end, ".slow")) {
        sleep((unsigned)atoi(getenv("SLOW_NAMES_S")));
        return EAI_AGAIN;
    }
    lookup_fn *real;
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    return real(host, service, hints, found);
}
