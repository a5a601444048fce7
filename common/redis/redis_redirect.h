/* What a node of a Redis Cluster answers to a command on a key that it does not serve:
 *
 *     MOVED 3999 127.0.0.1:6381     another node serves the slot, from now on
 *     ASK 3999 127.0.0.1:6381       the slot is on its way there, and the key has gone ahead: that
 *                                   node takes the command, this once, right behind ASKING
 *
 * https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/ */
#ifndef METERLINE_REDIS_REDIRECT_H
#define METERLINE_REDIS_REDIRECT_H

#include <stdbool.h>
#include <stddef.h>

enum { REDIS_HOST_SIZE = 256, REDIS_SLOTS = 16384 };

struct redis_redirect {
    bool is_ask;
    int slot;
    char host[REDIS_HOST_SIZE]; /* "": the one that answered */
    int port;
};

/* text: an error reply, NUL-terminated. False: it is another error. */
bool redis_redirect_parse(const char *text, struct redis_redirect *out);

/* The slot of a key: of its hash tag, if it has one. */
int redis_slot_of(const char *key, size_t length);

/* One more was followed. */
void redis_redirect_count(const struct redis_redirect *to);
void redis_redirect_log(const struct redis_redirect *to, const char *key);

#endif
