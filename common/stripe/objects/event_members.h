/* The members of events that meterline reads, by name alone, at whatever depth. Pure. */
#ifndef METERLINE_EVENT_MEMBERS_H
#define METERLINE_EVENT_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>

/* The name as it stands in the list; NULL: nobody reads it. */
const char *event_member(const char *name, size_t length);

/* Whether all that is in it is read. name: from event_member. */
bool event_member_is_whole(const char *name);

#endif
