#include "error.h"

#include <string.h>

int pyrt_fail(struct pyrt_error *error, int step, int err, int index, const char *subject, size_t size) {
    size_t kept = size < sizeof error->subject - 1 ? size : sizeof error->subject - 1;

    error->err = err;
    error->step = step;
    error->index = index;
    if (kept > 0)
        memcpy(error->subject, subject, kept);
    memset(error->subject + kept, 0, sizeof error->subject - kept);
    return -1;
}
