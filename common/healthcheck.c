#include "common/healthcheck.h"

#include "common/stage.h"
#include "common/str.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 2000 };

/* A container engine has no tty: libcurl writes the answer to stdout by itself. */
static int ask(const char *program, const char *url)
{
    char why[CURL_ERROR_SIZE] = "";
    long status = 0;
    CURL *easy = curl_easy_init();
    if (!easy)
        abort();
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* one from the environment is not for loopback */
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, why);
    CURLcode code = curl_easy_perform(easy);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(easy);
    if (code != CURLE_OK)
        fprintf(stderr, "%s: %s: %s\n", program, url, *why ? why : curl_easy_strerror(code));
    return code == CURLE_OK && status == 200 ? EXIT_DONE : EXIT_FAILED;
}

int healthcheck_run(const char *program, const char *ops_listen)
{
    const char *port = strrchr(ops_listen, ':');
    if (!port || !strcmp(port, ":0")) {
        fprintf(stderr, "%s: --healthcheck needs an OPS_LISTEN with a port of its own\n", program);
        return EXIT_SETTINGS;
    }
    /* ":9101" is all addresses. */
    char *url = xasprintf("http://%s%s/readyz", *ops_listen == ':' ? "127.0.0.1" : "", ops_listen);
    int exit_code = ask(program, url);
    free(url);
    return exit_code;
}
