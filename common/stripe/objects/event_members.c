#include "common/stripe/objects/event_members.h"

#include <stdint.h>
#include <string.h>

enum { SLOTS = 2048 };

/* Every name that stands in a reader of events, so that none is forgotten; see embed_members. */
static const char *const NAMES[] = {
#include "read_members.h"
};

/* With all that is in them. */
static const char *const WHOLE[] = {"reason", "tiers"};

static size_t slot_of(const char *name, size_t length)
{
    uint32_t hash = 2166136261U; /* FNV-1a */
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)name[i]) * 16777619U;
    return (hash ^ hash >> 15) % SLOTS;
}

static void fill(const char **slots)
{
    _Static_assert(2 * sizeof NAMES / sizeof *NAMES < SLOTS, "a search would be long");
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        size_t slot = slot_of(NAMES[i], strlen(NAMES[i]));
        while (slots[slot])
            slot = (slot + 1) % SLOTS;
        slots[slot] = NAMES[i];
    }
}

static bool is_same(const char *known, const char *name, size_t length)
{
    return strncmp(known, name, length) == 0 && known[length] == '\0';
}

const char *event_member(const char *name, size_t length)
{
    static const char *slots[SLOTS];
    static bool filled;
    if (!filled)
        fill(slots);
    filled = true;
    size_t slot = slot_of(name, length);
    while (slots[slot] && !is_same(slots[slot], name, length))
        slot = (slot + 1) % SLOTS;
    return slots[slot];
}

bool event_member_is_whole(const char *name)
{
    for (size_t i = 0; i < sizeof WHOLE / sizeof *WHOLE; i++)
        if (strcmp(WHOLE[i], name) == 0)
            return true;
    return false;
}
