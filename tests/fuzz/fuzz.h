/* A fuzz target is one function of bytes that aborts where a promise is broken. It stands alone
 * under libFuzzer; tests/unit/test_fuzz_corpus.c replays the kept inputs through all of them. */
#ifndef METERLINE_FUZZ_H
#define METERLINE_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#ifdef FUZZ_REPLAY
#define FUZZ_TARGET(function)
#else
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
#define FUZZ_TARGET(function)                                                                      \
    int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)                                   \
    {                                                                                              \
        function(data, size);                                                                      \
        return 0;                                                                                  \
    }
#endif

#endif
