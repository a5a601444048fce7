/* Reads the JSON of an event, but builds only the members that meterline reads. An event names
 * every field of its object, and of some 200 members 30 count; what to build, copy and free for the
 * others would be most of the work on an event. Pure.
 *
 * All of the text is checked, and what it does not settle with certainty (numbers of many digits,
 * names with escapes, what is nested deep, anything that may be no JSON) it leaves to jansson. So
 * an event is refused or taken whether or not it was read here. */
#ifndef METERLINE_EVENT_JSON_H
#define METERLINE_EVENT_JSON_H

#include <jansson.h>
#include <stddef.h>

/* The object without the members that no reader asks for, at whatever depth. A new reference; NULL:
 * ask jansson, which may take it. */
json_t *event_json_load(const char *text, size_t length);

#endif
