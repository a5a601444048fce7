#include "ctl/near.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 255, MOST = 3 };

static bool same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Optimal string alignment, by rows: two are needed for swaps. */
int near_distance(const char *a, const char *b, int most)
{
    int rows[3][NAME_MAX_BYTES + 1];
    size_t length = strlen(b);

    if (strlen(a) > NAME_MAX_BYTES || length > NAME_MAX_BYTES)
        return most + 1;
    for (size_t k = 0; k <= length; k++)
        rows[0][k] = (int)k;
    for (size_t i = 1; a[i - 1]; i++) {
        int *now = rows[i % 3];
        const int *last = rows[(i + 2) % 3];
        const int *before = rows[(i + 1) % 3];
        int best = now[0] = (int)i;
        for (size_t k = 1; k <= length; k++) {
            now[k] = least(least(last[k], now[k - 1]) + 1,
                           last[k - 1] + (same(a[i - 1], b[k - 1]) ? 0 : 1));
            if (i > 1 && k > 1 && same(a[i - 1], b[k - 2]) && same(a[i - 2], b[k - 1]))
                now[k] = least(now[k], before[k - 2] + 1);
            best = least(best, now[k]);
        }
        if (best > most)
            return most + 1; /* rows below have nothing smaller but for a swap, which costs 1 too */
    }
    return least(rows[strlen(a) % 3][length], most + 1);
}

static int most_for(const char *wanted)
{
    int third = (int)(strlen(wanted) + 2) / 3;

    return least(third, MOST);
}

void near_add(struct near *n, const char *wanted, const char *name)
{
    int most = most_for(wanted);
    int distance = near_distance(wanted, name, most);
    int at = n->count;

    if (distance > most)
        return;
    while (at > 0 && n->distances[at - 1] > distance)
        at--;
    if (at == NEAR_SHOWN)
        return;
    if (n->count < NEAR_SHOWN)
        n->count++;
    for (int i = n->count - 1; i > at; i--) {
        n->names[i] = n->names[i - 1];
        n->distances[i] = n->distances[i - 1];
    }
    n->names[at] = name;
    n->distances[at] = distance;
}
