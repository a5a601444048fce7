/* A state machine: its table of moves, and what each move writes to the log. */
#include "common/machine.h"

#include "tests/unit/capture.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

enum door_state { SHUT, OPEN, LOCKED };
static const struct machine DOOR = {"door",
                                    {[SHUT] = {"shut", TO(OPEN) | TO(LOCKED)},
                                     [OPEN] = {"open", TO(SHUT)},
                                     [LOCKED] = {"locked", TO(SHUT)}}};

/* The signal that ended a process which made this move, 0 if it ended well. */
static int move(enum door_state from, enum door_state to)
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        signal(SIGABRT, SIG_DFL); /* cmocka has its own */
        if (!freopen("/dev/null", "w", stderr))
            _exit(1);
        machine_go(&DOOR, from, to);
        _exit(from == to ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void a_move_of_the_table_sets_the_state(void **state)
{
    (void)state;
    enum door_state door = SHUT;
    machine_go(&DOOR, door, OPEN);
    assert_int_equal(door, OPEN);
    machine_go(&DOOR, door, SHUT);
    assert_int_equal(door, SHUT);
    machine_go(&DOOR, door, LOCKED);
    assert_int_equal(door, LOCKED);
}

static void any_other_move_aborts(void **state)
{
    /* Also one to the state it is in, and one to a state that the table does not know. */
    (void)state;
    static const bool LEGAL[3][4] = {[SHUT] = {[OPEN] = true, [LOCKED] = true},
                                     [OPEN] = {[SHUT] = true},
                                     [LOCKED] = {[SHUT] = true}};
    for (int from = SHUT; from <= LOCKED; from++)
        for (int to = SHUT; to <= LOCKED + 1; to++)
            assert_int_equal(move((enum door_state)from, (enum door_state)to),
                             LEGAL[from][to] ? 0 : SIGABRT);
}

static char *log_of_a_move(enum log_level level)
{
    enum door_state door = SHUT;
    log_init("test", level, LOG_LOGFMT);
    struct capture c = capture_start(STDERR_FILENO);
    machine_go(&DOOR, door, LOCKED);
    char *text = capture_end(&c);
    log_init("test", LOG_INFO, LOG_LOGFMT);
    return text;
}

static void a_move_is_logged_at_debug(void **state)
{
    /* The machine, and the names of both states; at level info nothing. */
    (void)state;
    char *text = log_of_a_move(LOG_DEBUG);
    assert_non_null(strstr(
        text, " level=debug stage=test event=state_changed machine=door from=shut to=locked\n"));
    free(text);
    text = log_of_a_move(LOG_INFO);
    assert_string_equal(text, "");
    free(text);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_move_of_the_table_sets_the_state),
        cmocka_unit_test(any_other_move_aborts),
        cmocka_unit_test(a_move_is_logged_at_debug),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
