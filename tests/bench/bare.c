/* bare: libmicrohttpd alone, which answers every request with the same few bytes, from one thread:
 * what an HTTP answer costs with nothing behind it. Prints its port, and ends with its standard
 * input. */
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct MHD_Response *response;

static enum MHD_Result on_request(void *owner, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *length, void **slot)
{
    static int begun;
    (void)owner, (void)url, (void)method, (void)version, (void)data, (void)length;
    if (!*slot) { /* the headers alone */
        *slot = &begun;
        return MHD_YES;
    }
    return MHD_queue_response(connection, MHD_HTTP_OK, response);
}

int main(void)
{
    static char body[] = "ok\n";
    char byte;
    response = MHD_create_response_from_buffer(strlen(body), body, MHD_RESPMEM_PERSISTENT);
    struct MHD_Daemon *daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL,
                                                 on_request, NULL, MHD_OPTION_END);
    if (!daemon || !response)
        return 1;
    printf("%u\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    MHD_stop_daemon(daemon);
    MHD_destroy_response(response);
    return 0;
}
