/* A state machine: the names of its states, and which of them may follow which.
 *
 *     enum door_state { SHUT, OPEN, LOCKED };
 *     static const struct machine DOOR = {"door", {
 *         [SHUT] = {"shut", TO(OPEN) | TO(LOCKED)},
 *         [OPEN] = {"open", TO(SHUT)},
 *         [LOCKED] = {"locked", TO(SHUT)}}};
 *
 *     machine_go(&DOOR, door->state, OPEN);
 *
 * A move that is not in the table is a bug, and aborts. Each move is logged at level debug. */
#ifndef METERLINE_MACHINE_H
#define METERLINE_MACHINE_H

#include "common/log.h"

#include <assert.h>

enum { MACHINE_STATES_MAX = 16 };
#define TO(state) (1u << (state))

struct machine {
    const char *name;
    struct {
        const char *name;
        unsigned next; /* TO(…) of each state that may follow */
    } states[MACHINE_STATES_MAX];
};

static inline unsigned machine_moved(const struct machine *m, unsigned from, unsigned to)
{
    assert(from < MACHINE_STATES_MAX && to < MACHINE_STATES_MAX);
    assert(m->states[from].next & TO(to));
    if (log_enabled(LOG_DEBUG))
        log_debug(state_changed, LOG_STR("machine", m->name), LOG_STR("from", m->states[from].name),
                  LOG_STR("to", m->states[to].name));
    return to;
}

/* state: the variable that has the state; the macro evaluates it twice. */
#define machine_go(m, state, to) ((state) = machine_moved(m, state, to))

#endif
