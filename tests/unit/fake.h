/* Functions of a module that a test plays itself: FAKE(void, ledger_acquire, …) {…} is called in
 * place of ledger_acquire by every other file, since the Makefile links the test with
 * --wrap=ledger_acquire. __real_ledger_acquire would be the true one. */
#ifndef METERLINE_TEST_FAKE_H
#define METERLINE_TEST_FAKE_H

#define FAKE(type, name, ...)                                                                      \
    type __wrap_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__)

#endif
