/* Setting up a libcurl handle for one of our calls. */
#ifndef METERLINE_HTTP_SETUP_H
#define METERLINE_HTTP_SETUP_H

#include "common/http/http_client.h"

#include <curl/curl.h>

/* All options but the callbacks. Returns the list of headers, which the caller frees after the
 * handle. */
struct curl_slist *http_setup(CURL *easy, const struct http_call *call, const char *user_agent);

#endif
