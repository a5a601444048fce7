/* meterline-emitter: adds usage events to the stream, which it reads from files, or, as a daemon,
 * gets by HTTP. */
#include "emitter/config.h"
#include "emitter/daemon/daemon.h"
#include "emitter/emit.h"

#include "common/log.h"

#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

static void on_signal(int signal_number)
{
    (void)signal_number;
    emit_stop();
}

/* Without SA_RESTART a signal interrupts a waiting read. A second signal ends the process. */
static void handle_signals(void)
{
    struct sigaction stop = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    /* write() reports that Redis has gone. */
    sigaction(SIGPIPE, &ignore, NULL);
}

static bool has_flag(int argc, char **argv, const char *flag)
{
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], flag))
            return true;
    return false;
}

int main(int argc, char **argv)
{
    if (has_flag(argc, argv, EMITTER_DAEMON_FLAG))
        return daemon_main(argc, argv);
    struct emitter_config config = {0};
    if (sodium_init() < 0) {
        fprintf(stderr, "%s: libsodium could not be initialised\n", EMITTER_PROGRAM);
        return EMITTER_FAILED;
    }
    int code = emitter_configure(argc, argv, &config);
    if (code < 0) {
        log_init("emitter", (enum log_level)config.base.log_level,
                 (enum log_format)config.base.log_format);
        handle_signals();
        code = emit_run(&config);
    }
    emitter_config_done(&config);
    return code;
}
