/* What every daemon shares: loop, signals, ops listener, shutdown.
 *
 *     int main(int argc, char **argv)
 *     {
 *         struct config config = {0};
 *         int code = stage_config(argc, argv, &STAGE, &config, NULL);
 *         if (code >= 0)
 *             return code;             // --help, --print-config, or wrong settings
 *         return stage_run(&STAGE, &config.base, sink_start, …);
 *     }
 *
 * Life: start -> running -> (SIGTERM, SIGINT or stage_finish) draining -> closed. SIGTERM: /readyz
 * answers 503 at once, `drain` is called, and the stage calls stage_drained when nothing is in
 * flight (calling it again, or when not draining, does nothing); after 8 s it is closed all the
 * same. A second signal changes nothing. `close` releases every handle; the loop then runs empty
 * and uv_loop_close() == 0 is asserted. */
#ifndef METERLINE_STAGE_H
#define METERLINE_STAGE_H

#include "common/conf.h"
#include "common/str.h"

#include <stdbool.h>
#include <uv.h>

struct stage; /* the running skeleton */

struct stage_spec {
    const char *name;    /* "sink": log lines, roles */
    const char *program; /* "meterline-sink" */
    const char *what;    /* one sentence for --help */
    const struct conf_setting *settings;
    /* Check settings against each other: log each fault as `setting_refused` and return their
     * number. Also called if single settings are wrong, so that all faults show at once; strings
     * may be NULL then. May be NULL. */
    int (*check)(const void *config);
    /* Open peers and start; returns 0, or -1 with e (exit 1; close is then not called). owner: the
     * config given to stage_run. */
    int (*start)(struct stage *s, void *owner, struct err *e);
    void (*drain)(void *owner); /* take no new work; call stage_drained when idle */
    void (*close)(void *owner); /* close every handle; called once, after draining */
    /* For /readyz: return false while not ready, and append what is missing to why. */
    bool (*ready)(void *owner, struct buf *why);
    void (*scrape)(void *owner); /* refresh gauges before /metrics; may be NULL */
};

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_SETTINGS = 2 };

/* A command-line flag of one stage: on or off, such as --once, or with a number of seconds. */
struct stage_flag {
    const char *name;     /* "--once" */
    const char *help;     /* what it does, in a few words */
    bool *value;          /* set to true if it is there; or NULL, and … */
    int64_t *seconds;     /* … this is set to its number, 1 to 86400 */
    const bool *needs[2]; /* one of these flags must be given too; NULL: none */
};

/* How long a stage that ends by itself waits for a server: the default of --give-up-after. */
enum { STAGE_GIVE_UP_AFTER_S = 30 };
extern const char STAGE_GIVE_UP_HELP[];

/* Command line and settings: --help, --print-config, --version, and the stage's own flags (ending
 * in {NULL}; NULL: none). Loads into config (which begins with a struct conf_base) and starts the
 * log. Any other argument is an error. Returns -1 to go on, else the exit code. */
int stage_config(int argc, char **argv, const struct stage_spec *spec, void *config,
                 const struct stage_flag *flags);
/* Runs until done; returns the exit code. config begins with a struct conf_base; it is the owner
 * that the callbacks get. */
int stage_run(const struct stage_spec *spec, void *config);

uv_loop_t *stage_loop(struct stage *s);
bool stage_is_draining(const struct stage *s);
/* End by itself with that exit code (as --once does): drains as SIGTERM does. */
void stage_finish(struct stage *s, int exit_code);
/* Show this process in stage_instances, from now until it has drained. For stages that run on; to
 * be called once, by start, when it can no longer fail. instance: its name there, copied; NULL: a
 * new UUID. */
void stage_announce(struct stage *s, const char *instance);
/* For a stage that ends by itself: if it is not ready for so long, finish with exit code 1. To be
 * called by start. */
void stage_give_up_after(struct stage *s, int64_t seconds);
/* The stage has nothing in flight any more. */
void stage_drained(struct stage *s);

/* For tests: the process kills itself here (SIGKILL) if METERLINE_TEST_CRASH names this point, such
 * as "after_commit", or "after_commit:3" for the third time. Otherwise it costs a pointer test. */
void stage_crash_point(const char *point);

#endif
