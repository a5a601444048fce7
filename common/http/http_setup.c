/* How a request is set up in libcurl: what is sent, and what is never done. */
#include "common/http/http_setup.h"

#include "common/str.h"

#include <stdlib.h>
#include <string.h>

static struct curl_slist *make_headers(const struct http_call *call)
{
    struct curl_slist *list = NULL;
    for (const struct http_header *h = call->headers; h && h->name; h++) {
        char *line = xasprintf("%s: %s", h->name, h->value);
        list = curl_slist_append(list, line);
        free(line);
    }
    /* Without a value libcurl leaves the header out: waiting for "100 Continue" costs a second. */
    return curl_slist_append(list, "Expect:");
}

static void set_method(CURL *easy, const struct http_call *call)
{
    if (call->body || !strcmp(call->method, "POST")) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_length);
        curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, call->body ? call->body : "");
    }
    if (!strcmp(call->method, "HEAD"))
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    else if (strcmp(call->method, "GET") != 0 && strcmp(call->method, "POST") != 0)
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
}

static void set_safety(CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    /* A proxy from the environment would read what we send, keys included. */
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    /* One connection, one request at a time: then "was it sent?" has a plain answer. */
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
}

struct curl_slist *http_setup(CURL *easy, const struct http_call *call, const char *user_agent)
{
    struct curl_slist *headers = make_headers(call);
    set_safety(easy);
    set_method(easy, call);
    curl_easy_setopt(easy, CURLOPT_URL, call->url);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, user_agent);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)call->connect_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)call->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    return headers;
}
