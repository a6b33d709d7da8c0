/* How a program between the launcher and the payload gives up: its error record on the status fd (launch.h), and the exit
 * code that says the same. */
#ifndef PYRT_NOT_STARTED_H
#define PYRT_NOT_STARTED_H

#include "error.h"
#include "freestanding_calls.h"
#include "payload.h"

#define EXIT_NOT_STARTED 126

/* result is a negative errno; subject may be NULL. */
__attribute__((noreturn)) static inline void fail(int step, long result, const char *subject) {
    struct pyrt_error error;
    memset(&error, 0, sizeof error);
    error.err = (int32_t)-result;
    error.step = step;
    error.index = -1;
    for (size_t i = 0; subject && subject[i] && i + 1 < sizeof error.subject; i++)
        error.subject[i] = subject[i];
    call3(__NR_write, PYRT_STATUS_FD, (long)&error, sizeof error);
    leave(EXIT_NOT_STARTED);
}

#endif
