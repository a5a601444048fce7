/* meterline-emitter: reads usage events, one line of JSON each, and adds them to the stream. */
#include "emitter/config.h"
#include "emitter/emit.h"

#include "common/log.h"

#include <signal.h>
#include <sodium.h>
#include <stdio.h>

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

int main(int argc, char **argv)
{
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
