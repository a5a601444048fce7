/* Mail by SMTP under libuv by libcurl: STARTTLS or TLS from the start (1.2 or later, peer and name
 * verified), login, connections kept alive. */
#ifndef METERLINE_SMTP_CLIENT_H
#define METERLINE_SMTP_CLIENT_H

#include "common/err.h"

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct smtp_client;

/* Borrowed until smtp_send returns; libcurl copies. */
struct smtp_server {
    const char *url;      /* smtp://host:port or smtps://host:port, maybe with user and password */
    const char *password; /* NULL: that of the URL, or none */
    const char *ca_file;  /* NULL: the system's */
    bool may_be_plain;    /* smtp:// goes on without TLS if the server has no STARTTLS */
    uint64_t timeout_ms;  /* of all of it */
};

/* How far a mail came. */
enum smtp_step { SMTP_GREETING, SMTP_SENDER, SMTP_RECIPIENT, SMTP_TEXT };

struct smtp_answer {
    enum smtp_step step;
    int code;       /* the server's last, such as 250; 0: it never answered */
    char said[128]; /* its last line */
};

/* error NULL: the server has taken the mail. Else ERR_INPUT: the URL cannot be used; ERR_REFUSED:
 * the server said no to answer->step with answer->code; others: the connection's. After step
 * SMTP_TEXT the server may have taken it all the same. Exactly once, from the loop. */
typedef void (*smtp_done_fn)(void *owner, const struct err *error,
                             const struct smtp_answer *answer);

struct smtp_client *smtp_client_open(uv_loop_t *loop, int max_connections);
/* from, to: bare addresses. text: the whole mail with its header, CRLF at each line's end; copied.
 */
void smtp_send(struct smtp_client *c, const struct smtp_server *server, const char *from,
               const char *to, const char *text, size_t length, smtp_done_fn done, void *owner);
/* Mails in flight end with ERR_CANCELED; closed runs from the loop when c is freed. */
void smtp_client_close(struct smtp_client *c, void (*closed)(void *owner), void *owner);

#endif
