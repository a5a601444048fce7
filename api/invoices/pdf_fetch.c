#include "api/invoices/pdf_fetch.h"

#include "common/http/address_rule.h"
#include "common/str.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { HOPS_MAX = 5, CONNECT_TIMEOUT_MS = 5000 };

static const char MAGIC[] = "%PDF-";

struct pdf_fetch {
    struct http_client *client;
    struct http_request *request; /* NULL: none is under way */
    struct pdf_rules rules;
    struct pdf_events events;
    int hops;
    size_t received;
    struct err stopped; /* why it was stopped; ERR_NONE: it was not, or by the taker */
};

static bool public_or_loopback(const struct sockaddr *address)
{
    return address_is_public(address) || address_is_loopback(address);
}

static void end(struct pdf_fetch *f, const struct err *error)
{
    struct pdf_events events = f->events;
    free(f);
    events.done(events.owner, error);
}

static int stop(struct pdf_fetch *f, const char *why)
{
    err_set(&f->stopped, ERR_INPUT, "%s", why);
    return -1;
}

/* Returns -1 if what came is no PDF, or too large. */
static int check(struct pdf_fetch *f, const struct http_answer *head, const char *data,
                 size_t length)
{
    const char *told = http_answer_header(head, "Content-Length");
    size_t magic = sizeof MAGIC - 1;
    if ((told && strtoull(told, NULL, 10) > f->rules.max_bytes) ||
        length > f->rules.max_bytes - f->received)
        return stop(f, "the PDF is larger than is passed on");
    for (size_t i = 0; i < length && f->received + i < magic; i++)
        if (data[i] != MAGIC[f->received + i])
            return stop(f, "what came is no PDF");
    return 0;
}

static enum http_taken on_data(void *owner, const struct http_answer *head, const char *data,
                               size_t length)
{
    struct pdf_fetch *f = owner;
    if (check(f, head, data, length))
        return HTTP_STOPPED;
    enum http_taken taken = f->events.on_data(f->events.owner, data, length);
    if (taken == HTTP_TAKEN)
        f->received += length;
    return taken;
}

/* A URL with a name and password would send them. */
static bool names_a_user(const char *url)
{
    const char *host = strstr(url, "://");
    return host && memchr(host + 3, '@', strcspn(host + 3, "/?#"));
}

static int check_url(const struct pdf_rules *rules, const char *url, struct err *e)
{
    bool secure = strncasecmp(url, "https://", 8) == 0;
    bool plain = strncasecmp(url, "http://", 7) == 0;
    if (!names_a_user(url) && (secure || (plain && rules->allow_loopback)))
        return 0;
    return err_set(e, ERR_INPUT, "the PDF's address is no https:// URL");
}

static void ask(struct pdf_fetch *f, const char *url);

static void on_answer(void *owner, const struct err *error, const struct http_answer *answer)
{
    struct pdf_fetch *f = owner;
    struct err e;
    f->request = NULL;
    const char *redirect = error ? NULL : http_answer_redirect(answer);
    if (f->stopped.kind != ERR_NONE) {
        e = f->stopped;
        end(f, &e);
    } else if (error) {
        end(f, error);
    } else if (redirect && f->hops < HOPS_MAX) {
        if (check_url(&f->rules, redirect, &e))
            end(f, &e);
        else
            ask(f, redirect);
    } else if (redirect) {
        err_set(&e, ERR_INPUT, "the PDF's address redirects more than %d times", HOPS_MAX);
        end(f, &e);
    } else if (answer->status != 200) {
        err_set(&e, ERR_REFUSED, "the PDF's address answers with status %d", answer->status);
        e.code = answer->status;
        end(f, &e);
    } else if (f->received < sizeof MAGIC - 1) {
        err_set(&e, ERR_INPUT, "what came is no PDF");
        end(f, &e);
    } else {
        end(f, NULL);
    }
}

static void ask(struct pdf_fetch *f, const char *url)
{
    bool plain = strncasecmp(url, "http://", 7) == 0;
    f->hops++;
    struct http_call call = {.method = "GET",
                             .url = url,
                             .connect_timeout_ms = CONNECT_TIMEOUT_MS,
                             .timeout_ms = f->rules.timeout_ms,
                             .only_https = !plain,
                             .allows = plain                     ? address_is_loopback
                                       : f->rules.allow_loopback ? public_or_loopback
                                                                 : address_is_public,
                             .on_data = on_data};
    f->request = http_send(f->client, &call, on_answer, f);
}

struct pdf_fetch *pdf_fetch_start(struct http_client *client, const char *url,
                                  const struct pdf_rules *rules, struct pdf_events events,
                                  struct err *e)
{
    if (check_url(rules, url, e))
        return NULL;
    struct pdf_fetch *f = xcalloc(1, sizeof *f);
    f->client = client;
    f->rules = *rules;
    f->events = events;
    ask(f, url);
    return f;
}

void pdf_fetch_resume(struct pdf_fetch *f)
{
    http_resume(f->request);
}

void pdf_fetch_cancel(struct pdf_fetch *f)
{
    http_cancel(f->request);
    free(f);
}
