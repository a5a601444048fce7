#include "notifier/mail/mailer.h"

#include "common/backoff.h"
#include "common/clock.h"
#include "common/closing.h"
#include "common/http/smtp_client.h"
#include "common/peer.h"
#include "notifier/mail/mail_rule.h"
#include "notifier/mail/mail_text.h"
#include "notifier/outbox/outbox.h"

#include <stdlib.h>
#include <string.h>

enum { IN_FLIGHT = 4, TIMEOUT_MS = 60000, LEASE_MS = 80000 };

struct mailer {
    const struct context *context;
    struct smtp_client *smtp;
    struct outbox *outbox;
    uv_timer_t pause; /* runs while the server cannot be used */
    struct backoff backoff;
    struct peer_link link; /* empty until the server was first used */
    struct closing closing;
};

/* The message that a mail is about. */
struct mailing {
    struct mailer *mailer;
    struct message *message;
};

static void on_pause_over(uv_timer_t *timer)
{
    mailer_wake(timer->data);
}

/* Those that were in flight together fail together: one wait. */
static void pause_server(struct mailer *m, const struct err *error)
{
    if (uv_is_active((uv_handle_t *)&m->pause) || closing_has_begun(&m->closing))
        return;
    uint64_t wait_ms = backoff_next_ms(&m->backoff, backoff_random());
    peer_link_lost(&m->link, error, wait_ms);
    uv_timer_start(&m->pause, on_pause_over, wait_ms, 0);
}

static void on_mailed(void *owner, const struct err *error, const struct smtp_answer *answer)
{
    struct mailing mailing = *(struct mailing *)owner;
    struct mailer *m = mailing.mailer;
    enum message_end end = mail_rule(error, answer);
    free(owner);
    if (!m->link.peer)
        peer_link_init(&m->link, PEER_SMTP);
    if (end == MESSAGE_CHANNEL_DOWN) {
        pause_server(m, error);
    } else {
        backoff_reset(&m->backoff);
        peer_link_up(&m->link);
    }
    outbox_ended(m->outbox, mailing.message, end, error ? error->text : NULL);
}

static bool may_deliver(void *owner)
{
    const struct mailer *m = owner;
    return !uv_is_active((const uv_handle_t *)&m->pause);
}

static void send_mail(struct mailer *m, struct message *message)
{
    const struct config *c = m->context->config;
    struct mailing *mailing = xmalloc(sizeof *mailing);
    struct buf text = {0};
    struct err e;
    char *from, *name;
    const struct smtp_server server = {.url = c->smtp_url,
                                       .password = c->smtp_password,
                                       .ca_file = c->smtp_ca_file,
                                       .may_be_plain = notifier_mail_may_be_plain(c),
                                       .timeout_ms = TIMEOUT_MS};
    *mailing = (struct mailing){m, message};
    mail_compose(message, c->smtp_from, clock_unix_ms(), &text);
    if (mail_parse_from(c->smtp_from, &from, &name, &e) == 0)
        smtp_send(m->smtp, &server, from, message->destination, text.data, text.length, on_mailed,
                  mailing);
    free(from);
    free(name);
    buf_done(&text);
}

static void deliver(void *owner, struct message *message)
{
    struct mailer *m = owner;
    if (!notifier_has_mail(m->context->config))
        outbox_ended(m->outbox, message, MESSAGE_DELAYED, "SMTP_URL is not set");
    else if (!mail_is_address(message->destination))
        outbox_ended(m->outbox, message, MESSAGE_REFUSED, "this is not an address of mail");
    else
        send_mail(m, message);
}

struct mailer *mailer_open(const struct context *context)
{
    const struct config *c = context->config;
    struct mailer *m = xcalloc(1, sizeof *m);
    m->context = context;
    m->backoff = BACKOFF((uint64_t)c->retry_first_ms, (uint64_t)c->retry_max_s * 1000);
    uv_timer_init(stage_loop(context->stage), &m->pause);
    m->pause.data = m;
    m->smtp = smtp_client_open(stage_loop(context->stage), IN_FLIGHT);
    const struct outbox_terms terms = {
        .channel = "mail",
        .most = IN_FLIGHT,
        .each = 1,
        .lease_ms = LEASE_MS,
        .retry = {c->retry_first_ms, c->retry_max_s * 1000, c->give_up_s * 1000},
        .ready = may_deliver,
        .deliver = deliver,
        .owner = m};
    m->outbox = outbox_open(context, &terms);
    return m;
}

void mailer_wake(struct mailer *m)
{
    outbox_wake(m->outbox);
}

bool mailer_is_idle(const struct mailer *m)
{
    return outbox_is_idle(m->outbox);
}

bool mailer_is_ready(const struct mailer *m, struct buf *why)
{
    if (m->link.peer && !m->link.up)
        peer_add_why(PEER_SMTP, why);
    return outbox_is_ready(m->outbox);
}

/* Closing the client ends the mails in flight, and the outbox waits for those. */
void mailer_close(struct mailer *m)
{
    closing_begin(&m->closing, m, free, NULL, NULL);
    closing_handle(&m->closing, &m->pause);
    outbox_close(m->outbox);
    smtp_client_close(m->smtp, closing_part_closed, closing_part(&m->closing));
    closing_end(&m->closing);
}
