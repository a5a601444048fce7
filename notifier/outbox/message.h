/* A row of outgoing_messages that this process sends: one message by one way. */
#ifndef METERLINE_NOTIFIER_MESSAGE_H
#define METERLINE_NOTIFIER_MESSAGE_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

/* How an attempt ended. */
enum message_end {
    MESSAGE_SENT,
    MESSAGE_DELAYED,      /* this message was not taken; another one may be */
    MESSAGE_ADDRESS_DOWN, /* its address takes nothing now */
    MESSAGE_CHANNEL_DOWN, /* no address can be reached now, such as with the mail server away */
    MESSAGE_REFUSED       /* it never will be taken */
};

struct message {
    char *id;          /* the same by each way, and at each attempt */
    char *tenant;      /* "": of none */
    char *kind;        /* such as payment_failed */
    char *destination; /* "" for a signal, an address of mail, a URL */
    char *data;        /* JSON, an object */
    char *secret;      /* that signs a POST; NULL: the tenant has no such URL any more */
    int64_t occurred_ms;
    int64_t created_ms;
    int64_t attempts;  /* with this one */
    int64_t waited_ms; /* when it was claimed: for how long it has been tried */
    int64_t failures;  /* of its address, in a row, before this attempt */

    enum message_end end;
    char error[256]; /* why it was not sent */
    int64_t wait_ms; /* before the next attempt; -1: there is none */
    int64_t address_wait_ms;
    struct message *next; /* among those that have ended */
};

/* Row of the claims' result, which is binary. */
struct message *message_read(const PGresult *r, int row);
void message_free(struct message *m);

/* The JSON of a signal or a POST: {"id", "kind", "tenant", "occurred_at", "data"}; malloc'd. The
 * time is Unix milliseconds. */
char *message_json(const struct message *m);

#endif
