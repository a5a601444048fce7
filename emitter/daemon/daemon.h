/* meterline-emitter as a daemon: its parts. */
#ifndef METERLINE_EMITTER_DAEMON_H
#define METERLINE_EMITTER_DAEMON_H

#define EMITTER_DAEMON_FLAG "--daemon"

/* Runs until it is stopped; returns the exit code. argv has EMITTER_DAEMON_FLAG. */
int daemon_main(int argc, char **argv);

#endif
