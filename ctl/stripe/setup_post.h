/* What goes out for a step of setup_plan(): the body of its POST, and its idempotency key. Pure. */
#ifndef METERLINE_CTL_SETUP_POST_H
#define METERLINE_CTL_SETUP_POST_H

#include <jansson.h>

enum { SETUP_KEY_SIZE = 33 };

/* Of a step that creates, changes or replaces. ids: {"meter": {name: id}, …}, of what the step
 * needs. malloc'd. */
char *setup_post_body(const json_t *step, const json_t *ids);

/* The same step in the same round has the same key, in whichever run. With a salt, which is not "",
 * it is that of the body and the salt alone: of an endpoint, until its secret is stored. */
void setup_post_key(const json_t *step, int round, const char *body, const char *salt,
                    char out[SETUP_KEY_SIZE]);

#endif
