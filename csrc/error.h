/* The one error record that C hands to Python. Words are made there; C says where, which errno, and about what. */
#ifndef PYRT_ERROR_H
#define PYRT_ERROR_H
#include <stddef.h>
#include <stdint.h>

struct pyrt_error {
    int32_t err;       /* an errno value */
    int32_t step;      /* an enum of the module that failed */
    int32_t index;     /* which entry or operation, counted from 0; -1 where that says nothing */
    char subject[256]; /* a path or name, always terminated, cut where it is longer */
};

/* Fills the record and returns -1, so that a failing function can end in `return pyrt_fail(...)`. */
int pyrt_fail(struct pyrt_error *error, int step, int err, int index, const char *subject, size_t size);

#endif
