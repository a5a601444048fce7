/* The addresses of a name, asked for without waiting. A lookup that runs cannot be stopped, and its
 * end comes with the resolver's own deadlines: up to half a minute while no name server answers. */
#ifndef COMMON_LOOKUP_H
#define COMMON_LOOKUP_H

#include <stdbool.h>
#include <uv.h>

/* As uv_getaddrinfo for TCP, of any family; host is copied. 0: done runs once, from the loop, and
 * calls lookup_ended() first. Else libuv's error, and done does not run. */
int lookup_start(uv_loop_t *loop, uv_getaddrinfo_t *request, uv_getaddrinfo_cb done,
                 const char *host);
void lookup_ended(void);

/* Whether any of this process has not ended: then a loop cannot be closed yet. */
bool lookup_runs(void);

#endif
