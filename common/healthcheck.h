/* --healthcheck: a daemon asks its own /readyz, for a container engine, which learns by the exit
 * code of a program whether another one is well. */
#ifndef METERLINE_HEALTHCHECK_H
#define METERLINE_HEALTHCHECK_H

/* ops_listen: of the settings. Prints what /readyz answers, or on stderr why nothing did, within 2
 * s. Returns the exit code: EXIT_DONE if it is ready, EXIT_FAILED if it is not or nobody listens,
 * EXIT_SETTINGS if there is nothing to ask. */
int healthcheck_run(const char *program, const char *ops_listen);

#endif
