/* What a PDF's address may be, where it may lead, and what may come. The peer is our own server. */
#include "api/invoices/pdf_fetch.h"
#include "common/http/http_server.h"
#include "common/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PDF "%PDF-1.4 a small one"

struct world {
    uv_loop_t loop;
    struct http_server *server;
    struct http_client *client;
    int requests;
    bool had_key;
    struct buf received;
    struct err error;
    int ends;
};

static void redirect(struct http_exchange *x, const char *where)
{
    http_reply_header(x, "Location", where);
    http_reply(x, 302, "text/plain", "moved", 5);
}

static void on_exchange(void *owner, struct http_exchange *x)
{
    struct world *w = owner;
    w->requests++;
    w->had_key = w->had_key || http_exchange_header(x, "Authorization");
    if (!strcmp(x->path, "/twice"))
        redirect(x, "/once");
    else if (!strcmp(x->path, "/once"))
        redirect(x, "/pdf");
    else if (!strcmp(x->path, "/circle"))
        redirect(x, "/circle");
    else if (!strcmp(x->path, "/private"))
        redirect(x, "http://10.0.0.1/pdf");
    else if (!strcmp(x->path, "/secret"))
        redirect(x, "https://169.254.169.254/latest");
    else if (!strcmp(x->path, "/file"))
        redirect(x, "file:///etc/passwd");
    else if (!strcmp(x->path, "/user"))
        redirect(x, "http://a:b@127.0.0.1/pdf");
    else if (!strcmp(x->path, "/page"))
        http_reply(x, 200, "text/html", "<html>log in</html>", 19);
    else if (!strcmp(x->path, "/short"))
        http_reply(x, 200, "application/pdf", "%PD", 3);
    else if (!strcmp(x->path, "/empty"))
        http_reply(x, 200, "application/pdf", "", 0);
    else if (!strcmp(x->path, "/pdf"))
        http_reply(x, 200, "application/pdf", PDF, strlen(PDF));
    else
        http_reply(x, 404, "text/plain", "nothing", 7);
}

static enum http_taken on_data(void *owner, const char *data, size_t length)
{
    struct world *w = owner;
    buf_add(&w->received, data, length);
    return HTTP_TAKEN;
}

static void end(struct world *w)
{
    http_client_close(w->client, NULL, NULL);
    http_server_close(w->server, NULL, NULL);
}

static void on_done(void *owner, const struct err *error)
{
    struct world *w = owner;
    w->ends++;
    w->error = error ? *error : (struct err){0};
    end(w);
}

static char *free_address(void)
{
    struct err e;
    char address[HTTP_ADDRESS_SIZE];
    int socket = http_listen("127.0.0.1:0", address, &e);
    assert_true(socket >= 0);
    close(socket);
    return xstrdup(address);
}

/* where: a path of the peer, or a whole URL. */
static struct world run(const char *where, bool allow_loopback, size_t max_bytes)
{
    struct err e = {0};
    struct world w = {0};
    struct pdf_rules rules = {allow_loopback, max_bytes, 20000};
    uv_loop_init(&w.loop);
    char *listen = free_address();
    w.server = http_server_open(&w.loop, "test", listen, 4096, on_exchange, &w, &e);
    assert_non_null(w.server);
    w.client = http_client_open(&w.loop, "meterline-test", 2, 4096);
    char *url = *where == '/' ? xasprintf("http://%s%s", listen, where) : xstrdup(where);
    struct pdf_events events = {.on_data = on_data, .done = on_done, .owner = &w};
    if (!pdf_fetch_start(w.client, url, &rules, events, &e)) {
        w.error = e;
        end(&w);
    }
    uv_run(&w.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w.loop), 0);
    free(url);
    free(listen);
    buf_done(&w.received);
    assert_false(w.had_key);
    return w;
}

static void it_comes_through_redirects(void **state)
{
    (void)state;
    struct world w = run("/twice", true, 1000);
    assert_int_equal(w.error.kind, ERR_NONE);
    assert_int_equal(w.requests, 3);
    assert_int_equal(w.ends, 1);
}

static void where_it_may_not_lead(void **state)
{
    static const struct {
        const char *where;
        int requests;
    } ROWS[] = {{"/circle", 5}, {"/private", 1}, {"/secret", 1},
                {"/file", 1},   {"/user", 1},    {"http://10.0.0.1/pdf", 0}};
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct world w = run(ROWS[i].where, true, 1000);
        if (w.error.kind != ERR_INPUT || w.requests != ROWS[i].requests)
            fail_msg("%s: %d requests, %s", ROWS[i].where, w.requests, w.error.text);
    }
}

static void plain_http_needs_a_setting(void **state)
{
    static const char *const WHERE[] = {
        "/pdf", "https://127.0.0.1/pdf",         "https://[::1]/pdf", "file:///etc/passwd", "",
        "pdf",  "https://a:b@files.stripe.com/x"};
    (void)state;
    for (size_t i = 0; i < sizeof WHERE / sizeof *WHERE; i++) {
        struct world w = run(WHERE[i], false, 1000);
        if (w.error.kind != ERR_INPUT || w.requests)
            fail_msg("%s: %s", WHERE[i], w.error.text);
    }
}

static void what_comes_must_be_a_pdf(void **state)
{
    static const struct {
        const char *where;
        enum err_kind kind;
    } ROWS[] = {{"/page", ERR_INPUT},
                {"/short", ERR_INPUT},
                {"/empty", ERR_INPUT},
                {"/nothing", ERR_REFUSED}};
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct world w = run(ROWS[i].where, true, 1000);
        if (w.error.kind != ROWS[i].kind)
            fail_msg("%s: %s", ROWS[i].where, w.error.text);
    }
    assert_int_equal(run("/nothing", true, 1000).error.code, 404);
}

static void it_is_limited(void **state)
{
    (void)state;
    struct world w = run("/pdf", true, strlen(PDF));
    assert_int_equal(w.error.kind, ERR_NONE);
    w = run("/pdf", true, strlen(PDF) - 1);
    assert_int_equal(w.error.kind, ERR_INPUT);
    assert_non_null(strstr(w.error.text, "larger"));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_comes_through_redirects),
        cmocka_unit_test(where_it_may_not_lead),
        cmocka_unit_test(plain_http_needs_a_setting),
        cmocka_unit_test(what_comes_must_be_a_pdf),
        cmocka_unit_test(it_is_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
