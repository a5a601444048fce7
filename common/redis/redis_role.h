/* What ROLE answers: ["master", …], ["slave", …],
 * https://redis.io/docs/latest/commands/role/ */
#ifndef METERLINE_REDIS_ROLE_H
#define METERLINE_REDIS_ROLE_H

#include <hiredis/hiredis.h>
#include <stdbool.h>

#define REDIS_REPLICA "this server is a replica, not a master"

bool redis_role_is(const redisReply *reply, const char *role);

#endif
