#include "common/http/curl_loop.h"

#include "common/closing.h"
#include "common/str.h"

#include <assert.h>
#include <stdlib.h>

struct curl_loop {
    uv_loop_t *loop;
    CURLM *multi;
    uv_timer_t timer;
    struct curl_transfer *transfers; /* those in flight */
    struct closing closing;
};

/* One socket of libcurl's; owned by the loop until its close callback. */
struct watch {
    uv_poll_t poll;
    curl_socket_t socket;
    struct curl_loop *owner;
};

static void collect(struct curl_loop *c);

static void on_watch_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_socket_event(uv_poll_t *poll, int status, int events)
{
    struct watch *w = poll->data;
    /* The watch may be closed inside the action; the client may not, it closes from its timer. */
    struct curl_loop *c = w->owner;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    int running;
    curl_multi_socket_action(c->multi, w->socket, flags, &running);
    collect(c);
}

static struct watch *watch_new(struct curl_loop *c, curl_socket_t socket)
{
    struct watch *w = xcalloc(1, sizeof *w);
    w->owner = c;
    w->socket = socket;
    int failed = uv_poll_init_socket(c->loop, &w->poll, socket);
    assert(!failed);
    w->poll.data = w;
    curl_multi_assign(c->multi, socket, w);
    return w;
}

static int on_socket_wanted(CURL *easy, curl_socket_t socket, int what, void *owner, void *slot)
{
    (void)easy;
    struct curl_loop *c = owner;
    struct watch *w = slot;
    if (what == CURL_POLL_REMOVE) {
        if (w) {
            uv_close((uv_handle_t *)&w->poll, on_watch_closed);
            curl_multi_assign(c->multi, socket, NULL);
        }
        return 0;
    }
    if (!w)
        w = watch_new(c, socket);
    int events = what & CURL_POLL_IN ? UV_READABLE : 0;
    if (what & CURL_POLL_OUT)
        events |= UV_WRITABLE;
    uv_poll_start(&w->poll, events, on_socket_event);
    return 0;
}

static void on_timer(uv_timer_t *timer)
{
    struct curl_loop *c = timer->data;
    int running;
    curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    collect(c);
}

static int on_timer_wanted(CURLM *multi, long wait_ms, void *owner)
{
    (void)multi;
    struct curl_loop *c = owner;
    /* Once closing, the timer has another task. */
    if (closing_has_begun(&c->closing))
        return 0;
    if (wait_ms < 0)
        uv_timer_stop(&c->timer);
    else
        uv_timer_start(&c->timer, on_timer, (uint64_t)wait_ms, 0);
    return 0;
}

static void unlink_transfer(struct curl_transfer *t)
{
    if (t->previous)
        t->previous->next = t->next;
    else
        t->loop->transfers = t->next;
    if (t->next)
        t->next->previous = t->previous;
    curl_multi_remove_handle(t->loop->multi, t->easy);
}

static void collect(struct curl_loop *c)
{
    int left;
    const CURLMsg *message;
    while ((message = curl_multi_info_read(c->multi, &left))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        char *private = NULL;
        /* Copied first: removing the handle frees the message. */
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
        struct curl_transfer *t = (struct curl_transfer *)(void *)private;
        unlink_transfer(t);
        t->done(t->owner, (int)code);
    }
}

void curl_loop_start(struct curl_loop *c, struct curl_transfer *t)
{
    assert(!closing_has_begun(&c->closing));
    t->loop = c;
    curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
    t->previous = NULL;
    t->next = c->transfers;
    if (t->next)
        t->next->previous = t;
    c->transfers = t;
    /* Only asks for the timer: nothing is sent, and done does not run, inside this call. */
    CURLMcode failed = curl_multi_add_handle(c->multi, t->easy);
    assert(!failed);
    (void)failed;
}

void curl_loop_forget(struct curl_transfer *t)
{
    unlink_transfer(t);
}

void curl_set_safety(CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    /* A proxy from the environment would read what we send, keys included. */
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    /* A lookup goes on by itself when its call is given up. Without this, the loop would wait for
     * it, for as long as no name server answers. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
}

struct curl_loop *curl_loop_open(uv_loop_t *loop, int max_connections)
{
    /* Counted inside libcurl; the first call initialises. */
    CURLcode failed = curl_global_init(CURL_GLOBAL_DEFAULT);
    assert(!failed);
    (void)failed;
    struct curl_loop *c = xcalloc(1, sizeof *c);
    c->loop = loop;
    c->multi = curl_multi_init();
    assert(c->multi);
    uv_timer_init(loop, &c->timer);
    c->timer.data = c;
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket_wanted);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)max_connections);
    return c;
}

static void on_closing(uv_timer_t *timer)
{
    struct curl_loop *c = timer->data;
    while (c->transfers) {
        struct curl_transfer *t = c->transfers;
        unlink_transfer(t);
        t->done(t->owner, CURL_LOOP_CLOSED);
    }
    /* Closes kept connections, whose watches are told to go. */
    curl_multi_cleanup(c->multi);
    curl_global_cleanup();
    closing_handle(&c->closing, &c->timer);
    closing_end(&c->closing);
}

void curl_loop_close(struct curl_loop *c, void (*closed)(void *owner), void *owner)
{
    closing_begin(&c->closing, c, free, closed, owner);
    uv_timer_start(&c->timer, on_closing, 0, 0);
}
