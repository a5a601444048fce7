/* A listening socket. Failure modes: a name that does not resolve, a port that is taken or not
 * allowed. */
#include "common/http_listen.h"

#include "common/conf.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 511 };

static int bind_one(const struct addrinfo *a)
{
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int on = 1;
    /* A restart must not wait for old connections to leave TIME_WAIT. */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
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
        fd = bind_one(a);
    return fd;
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
    struct addrinfo *list = resolve(host, port, listen, e);
    free(host);
    if (!list)
        return -1;
    int fd = bind_first(list);
    if (fd < 0)
        err_set(e, ERR_IO, "listen on %s: %s", listen, strerror(errno));
    else
        describe(fd, address);
    freeaddrinfo(list);
    return fd;
}
