/* Releasing the schedule of a subscription before a direct change, which it would refuse; and
 * making it anew if the change is refused then, so that nothing is half done.
 *
 * What it had is saved with the request before it is released: a try that follows one that died, or
 * whose outcome was not known, restores it as well. */
#ifndef METERLINE_API_SCHEDULE_RELEASE_H
#define METERLINE_API_SCHEDULE_RELEASE_H

#include "api/stripe/job.h"

/* j->subscription has no schedule then. */
void schedule_release_first(struct job *j, job_fn next);
/* j->refused of a change after that: answers why it was refused, at last. */
void schedule_restore(struct job *j);
/* The same where j->kept is a schedule that was made for the change: it is let go. */
void schedule_undo(struct job *j);

/* The subscription's; NULL: none. Borrowed. */
const char *schedule_of(const struct job *j);

#endif
