/* libcurl tells of a refusal only as a CURLcode, the same for the sender, the recipient and the
 * text. Which of them it was follows from the command that was sent last, which the debug callback
 * sees; it also sees the server's words. Of what we send it looks at the first letters only. */
#include "common/http/smtp_client.h"

#include "common/http/curl_loop.h"
#include "common/str.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A connection that rested longer may be one that the server is about to close. */
enum { CONNECT_MS = 10000, IDLE_MAX_S = 30 };

struct smtp_client {
    struct curl_loop *curl;
};

struct mail {
    struct curl_transfer transfer;
    struct curl_slist *to;
    char *text;
    size_t length;
    size_t at;
    struct smtp_answer answer;
    bool is_quitting; /* what the server says now is of no interest */
    smtp_done_fn done;
    void *owner;
    char why[CURL_ERROR_SIZE];
};

static size_t on_read(char *out, size_t size, size_t count, void *owner)
{
    struct mail *m = owner;
    size_t room = size * count, left = m->length - m->at;
    size_t n = left < room ? left : room;
    memcpy(out, m->text + m->at, n);
    m->at += n;
    return n;
}

static bool begins(const char *data, size_t length, const char *word)
{
    return length >= strlen(word) && memcmp(data, word, strlen(word)) == 0;
}

static void note_command(struct mail *m, const char *data, size_t length)
{
    if (begins(data, length, "MAIL "))
        m->answer.step = SMTP_SENDER;
    else if (begins(data, length, "RCPT "))
        m->answer.step = SMTP_RECIPIENT;
    else if (begins(data, length, "DATA"))
        m->answer.step = SMTP_TEXT;
    else if (begins(data, length, "QUIT"))
        m->is_quitting = true;
}

/* "250-SIZE" and "250 OK" alike: the last line stays. */
static void note_reply(struct mail *m, const char *data, size_t length)
{
    if (m->is_quitting)
        return;
    while (length > 0 && (data[length - 1] == '\r' || data[length - 1] == '\n'))
        length--;
    if (length >= sizeof m->answer.said)
        length = sizeof m->answer.said - 1;
    memcpy(m->answer.said, data, length);
    m->answer.said[length] = '\0';
}

static int on_debug(CURL *easy, curl_infotype type, char *data, size_t length, void *owner)
{
    (void)easy;
    if (type == CURLINFO_HEADER_OUT)
        note_command(owner, data, length);
    else if (type == CURLINFO_HEADER_IN)
        note_reply(owner, data, length);
    return 0;
}

static void fill_error(struct mail *m, int code, struct err *e)
{
    const char *why = m->why[0] ? m->why : code > 0 ? curl_easy_strerror((CURLcode)code) : "";
    if (code == CURL_LOOP_CLOSED)
        err_set(e, ERR_CANCELED, "the client was closed");
    else if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL)
        err_set(e, ERR_INPUT, "%s", why);
    else if (code == CURLE_OPERATION_TIMEDOUT)
        err_set(e, ERR_TIMEOUT, "%s", why);
    else if (m->answer.code >= 400)
        err_set(e, ERR_REFUSED, "the mail server said: %s", m->answer.said);
    else
        err_set(e, m->answer.code > 0 ? ERR_CLOSED : ERR_CONNECT, "%s", why);
}

static void finish(void *owner, int code)
{
    struct mail *m = owner;
    struct err e = {0};
    m->answer.code = (int)strtol(m->answer.said, NULL, 10);
    str_make_utf8(m->answer.said);
    if (code != CURLE_OK)
        fill_error(m, code, &e);
    m->done(m->owner, code == CURLE_OK ? NULL : &e, &m->answer);
    curl_easy_cleanup(m->transfer.easy);
    curl_slist_free_all(m->to);
    free(m->text);
    free(m);
}

static void take_part(CURLU *url, CURLUPart part, CURL *easy, CURLoption option)
{
    char *text = NULL;
    if (curl_url_get(url, part, &text, CURLU_URLDECODE) == CURLUE_OK) {
        curl_easy_setopt(easy, option, text);
        curl_url_set(url, part, NULL, 0);
    }
    curl_free(text);
}

/* User and password as options, so that a password from elsewhere goes with the URL's user. */
static void set_server(CURL *easy, const struct smtp_server *server)
{
    char *bare = NULL;
    CURLU *url = curl_url();
    assert(url);
    if (curl_url_set(url, CURLUPART_URL, server->url, 0) == CURLUE_OK) {
        take_part(url, CURLUPART_USER, easy, CURLOPT_USERNAME);
        take_part(url, CURLUPART_PASSWORD, easy, CURLOPT_PASSWORD);
        curl_url_get(url, CURLUPART_URL, &bare, 0);
    }
    curl_url_cleanup(url);
    curl_easy_setopt(easy, CURLOPT_URL, bare ? bare : server->url);
    curl_free(bare);
    if (server->password)
        curl_easy_setopt(easy, CURLOPT_PASSWORD, server->password);
    if (server->ca_file)
        curl_easy_setopt(easy, CURLOPT_CAINFO, server->ca_file);
    curl_easy_setopt(easy, CURLOPT_USE_SSL,
                     (long)(server->may_be_plain ? CURLUSESSL_TRY : CURLUSESSL_ALL));
}

void smtp_send(struct smtp_client *c, const struct smtp_server *server, const char *from,
               const char *to, const char *text, size_t length, smtp_done_fn done, void *owner)
{
    struct mail *m = xcalloc(1, sizeof *m);
    CURL *easy = curl_easy_init();
    assert(easy);
    m->transfer = (struct curl_transfer){.easy = easy, .done = finish, .owner = m};
    m->to = curl_slist_append(NULL, to);
    m->text = xmalloc(length + 1);
    memcpy(m->text, text, length);
    m->length = length;
    m->done = done;
    m->owner = owner;
    curl_set_safety(easy);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    set_server(easy, server);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)server->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)IDLE_MAX_S);
    curl_easy_setopt(easy, CURLOPT_MAIL_FROM, from);
    curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, m->to);
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(easy, CURLOPT_READDATA, m);
    curl_easy_setopt(easy, CURLOPT_VERBOSE, 1L);
    curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, on_debug);
    curl_easy_setopt(easy, CURLOPT_DEBUGDATA, m);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, m->why);
    curl_loop_start(c->curl, &m->transfer);
}

struct smtp_client *smtp_client_open(uv_loop_t *loop, int max_connections)
{
    struct smtp_client *c = xcalloc(1, sizeof *c);
    c->curl = curl_loop_open(loop, max_connections);
    return c;
}

struct closer {
    void (*closed)(void *owner);
    void *owner;
};

static void on_curl_closed(void *owner)
{
    struct closer closer = *(struct closer *)owner;
    free(owner);
    if (closer.closed)
        closer.closed(closer.owner);
}

void smtp_client_close(struct smtp_client *c, void (*closed)(void *owner), void *owner)
{
    struct closer *closer = xmalloc(sizeof *closer);
    *closer = (struct closer){closed, owner};
    curl_loop_close(c->curl, on_curl_closed, closer);
    free(c);
}
