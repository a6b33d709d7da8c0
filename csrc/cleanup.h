/* Ownership by scope: a variable that is declared with one of these is released when its block is left. */
#ifndef PYRT_CLEANUP_H
#define PYRT_CLEANUP_H
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* Closes without touching errno, because the error that is on its way out matters more. */
static inline void pyrt_close(int *fd) {
    if (*fd >= 0) {
        int kept = errno;
        (void)close(*fd);
        errno = kept;
    }
    *fd = -1;
}

/* Hands ownership over. */
static inline int pyrt_take(int *fd) {
    int taken = *fd;
    *fd = -1;
    return taken;
}

#define pyrt_fd __attribute__((cleanup(pyrt_close))) int

#endif
