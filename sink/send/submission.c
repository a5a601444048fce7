/* One submission in our hands. */
#include "sink/send/submission.h"

#include <stdlib.h>

void submission_free(struct submission *s)
{
    free(s->identifier);
    free(s->customer);
    free(s->event_name);
    free(s->subscription_item);
    free(s->body);
    free(s);
}

void submission_queue_add_take(struct submission_queue *q, struct submission *s)
{
    s->next = NULL;
    if (q->last)
        q->last->next = s;
    else
        q->first = s;
    q->last = s;
    q->count++;
}

struct submission *submission_queue_pop(struct submission_queue *q)
{
    struct submission *s = q->first;
    if (!s)
        return NULL;
    q->first = s->next;
    if (!q->first)
        q->last = NULL;
    q->count--;
    return s;
}

void submission_queue_move(struct submission_queue *to, struct submission_queue *from)
{
    submission_queue_move_some(to, from, from->count);
}

void submission_queue_move_some(struct submission_queue *to, struct submission_queue *from,
                                int most)
{
    for (int left = most; left > 0 && from->count > 0; left--)
        submission_queue_add_take(to, submission_queue_pop(from));
}

void submission_queue_done(struct submission_queue *q)
{
    struct submission *s;
    while ((s = submission_queue_pop(q)))
        submission_free(s);
}
