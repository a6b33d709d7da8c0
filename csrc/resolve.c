#define _GNU_SOURCE
#include "resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bounds.h"
#include "path_walk.h"

static int in_root(int root, const char *path, int flags, uint64_t more) {
    struct open_how how = {.flags = (uint32_t)(flags | O_CLOEXEC),
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | more};
    int fd = -1;

    /* EAGAIN: a rename somewhere on the machine while ".." was walked; the kernel cannot tell whether it matters. */
    for (int tries = 0; tries < PYRT_MAX_RESOLVE_TRIES; tries++) {
        fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
        if (fd >= 0 || errno != EAGAIN)
            break;
    }
    return fd;
}

int pyrt_resolve_linkless(int root, const char *path, int flags) {
    return in_root(root, path, flags, RESOLVE_NO_SYMLINKS);
}

int pyrt_resolve_by_walk(int root, const char *path, int flags) {
    int fd = pyrt_path_walk(root, path, flags, NULL);

    if (fd >= 0)
        return fd;
    errno = -fd;
    return -1;
}

int pyrt_resolve(int root, const char *path, int flags) {
    int fd;

    if (flags & (O_CREAT | O_TMPFILE) & ~O_DIRECTORY) {
        errno = EINVAL;
        return -1;
    }
    fd = in_root(root, path, flags, 0);
    /* Before Linux 5.6 the call is missing; seccomp filters that do not know it say EPERM, and openat2 by itself has no
       reason to with these flags. Where somebody renames or mounts all the time, anywhere, a path with many ".." never
       gets through; the walk looks at its own directories only. */
    if (fd < 0 && (errno == ENOSYS || errno == EPERM || errno == EAGAIN))
        return pyrt_resolve_by_walk(root, path, flags);
    return fd;
}
