/* A listening socket. Failure modes: a name that does not resolve, a port that is taken or not
 * allowed. */
#include "common/http/http_listen.h"

#include "common/conf.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 511 };

/* both: a socket of IPv6 takes IPv4 as well, whatever the system's default. */
static int bind_one(const struct addrinfo *a, bool both)
{
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int on = 1;
    int off = 0;
    /* A restart must not wait for old connections to leave TIME_WAIT. */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (both && a->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static int bind_first(const struct addrinfo *list)
{
    int fd = -1;
    for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next)
        fd = bind_one(a, false);
    return fd;
}

/* By IPv6, for both; on a machine without it by IPv4. */
static int bind_all(const struct addrinfo *list)
{
    static const int FAMILIES[] = {AF_INET6, AF_INET};
    for (size_t i = 0; i < sizeof FAMILIES / sizeof *FAMILIES; i++)
        for (const struct addrinfo *a = list; a; a = a->ai_next) {
            int fd = a->ai_family == FAMILIES[i] ? bind_one(a, true) : -1;
            if (fd >= 0 || (a->ai_family == FAMILIES[i] && errno == EADDRINUSE))
                return fd;
        }
    return -1;
}

static void describe(int fd, char address[HTTP_ADDRESS_SIZE])
{
    struct sockaddr_storage at;
    socklen_t length = sizeof at;
    char host[64] = "?";
    char port[8] = "?";
    if (getsockname(fd, (struct sockaddr *)&at, &length) == 0)
        getnameinfo((struct sockaddr *)&at, length, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV);
    if (strchr(host, ':'))
        snprintf(address, HTTP_ADDRESS_SIZE, "[%s]:%s", host, port);
    else
        snprintf(address, HTTP_ADDRESS_SIZE, "%s:%s", host, port);
}

static struct addrinfo *resolve(const char *host, int port, const char *listen, struct err *e)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    char service[8];
    snprintf(service, sizeof service, "%d", port & 0xffff);
    int failed = getaddrinfo(host[0] ? host : NULL, service, &hints, &list);
    if (failed)
        err_set(e, ERR_CONFIG, "listen on %s: %s", listen, gai_strerror(failed));
    return failed ? NULL : list;
}

int http_listen(const char *listen, char address[HTTP_ADDRESS_SIZE], struct err *e)
{
    char *host = NULL;
    int port = 0;
    if (conf_parse_listen(listen, &host, &port, e))
        return -1;
    bool is_all = !*host;
    struct addrinfo *list = resolve(host, port, listen, e);
    free(host);
    if (!list)
        return -1;
    int fd = is_all ? bind_all(list) : bind_first(list);
    if (fd < 0)
        err_set(e, ERR_IO, "listen on %s: %s", listen, strerror(errno));
    else
        describe(fd, address);
    freeaddrinfo(list);
    return fd;
}
