/* A listening TCP socket from HOST:PORT, [V6]:PORT or :PORT, and where it really listens. */
#ifndef METERLINE_HTTP_LISTEN_H
#define METERLINE_HTTP_LISTEN_H

#include "common/err.h"

enum { HTTP_ADDRESS_SIZE = 128 };

/* Bind and listen, non-blocking. Port 0 takes a free one. address gets the real one,
 * "127.0.0.1:9101", "[::1]:9101", or
 * "[::]:9101" for :9101, which is one socket for IPv6 and IPv4. Returns the descriptor, or -1 with
 * e. */
int http_listen(const char *listen, char address[HTTP_ADDRESS_SIZE], struct err *e);

#endif
