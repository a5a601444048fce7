/* What a failed transfer means for the caller: may the peer have read the request? Pure. */
#ifndef METERLINE_HTTP_FAILURE_H
#define METERLINE_HTTP_FAILURE_H

#include "common/err.h"

#include <curl/curl.h>
#include <stdbool.h>

/* code: not CURLE_OK. sent: at least one byte of the request was written to the connection (TLS
 * handshakes do not count). ERR_CONNECT and ERR_TLS promise that the peer has read nothing, so they
 * are only given while sent is false. ERR_INPUT: the URL cannot be used. */
enum err_kind http_failure_of(CURLcode code, bool sent);

#endif
