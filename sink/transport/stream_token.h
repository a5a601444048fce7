/* The token that the meter event stream takes in place of our key: Stripe gives it with a session
 * of 15 minutes. It is kept in memory only. */
#ifndef METERLINE_SINK_STREAM_TOKEN_H
#define METERLINE_SINK_STREAM_TOKEN_H

#include "common/http/http_client.h"
#include "sink/config.h"
#include "sink/send/settle_rule.h"

struct stream_token;

/* From the loop. failure NULL: a session was opened. Else why not: no submission was sent, so that
 * it is always SETTLE_RETRY. */
typedef void (*stream_token_fn)(void *owner, const struct settle_outcome *failure);

/* client and config are borrowed for its life. */
struct stream_token *stream_token_new(struct http_client *client, const struct config *config,
                                      stream_token_fn done, void *owner);
/* Once the client is closed. */
void stream_token_free(struct stream_token *t);

/* The Authorization header, "Bearer …", or NULL: none, or one that ends soon. Borrowed until
 * the next call of these. */
const char *stream_token_header(const struct stream_token *t);
/* Open a session; done runs once. Does nothing while one is being opened. */
void stream_token_open(struct stream_token *t);
/* Stripe refused that header: it is used no more. Does nothing if another one is in use by now. */
void stream_token_forget(struct stream_token *t, const char *header);

#endif
