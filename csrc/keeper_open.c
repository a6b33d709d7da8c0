/* Opening a file for the asker: with his rights, below the directory where the walk ended, and handed over as an fd. */
#include <asm/ioctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/signal.h>

#include "keeper.h"

#ifndef SECCOMP_IOCTL_NOTIF_ADDFD
struct seccomp_notif_addfd {
    __u64 id;
    __u32 flags, srcfd, newfd, newfd_flags;
};
#define SECCOMP_IOCTL_NOTIF_ADDFD _IOW('!', 3, struct seccomp_notif_addfd)
#endif
#define ADDFD_SEND 2 /* Linux 5.14: SECCOMP_ADDFD_FLAG_SEND */
#define TMPFILE 020000000 /* __O_TMPFILE */

static int writes(const struct found *found, uint64_t flags) {
    return (flags & O_ACCMODE) != O_RDONLY || flags & (O_TRUNC | TMPFILE) || (flags & O_CREAT && found->fd < 0);
}

/* What another process of the container may write of its own in /proc; the rest of it is the machine's. */
static int is_of_a_process(const char *path) {
    return path[0] == '/' && text_below(path, "/proc", 5) && path[5] == '/' && path[6] >= '0' && path[6] <= '9';
}

static long open_found(const struct found *found, uint64_t flags, uint64_t mode) {
    char path[48];
    /* A link in /proc has been followed and leads to no path; a place has no name: both are opened by what they are. */
    if (found->parent < 0 || found->magic) {
        text_fd_path(path, found->fd, "");
        return call4(__NR_openat, AT_FDCWD, (long)path, (long)(flags & ~(uint64_t)(O_CREAT | O_EXCL | O_NOFOLLOW)), (long)mode);
    }
    return call4(__NR_openat, found->parent, (long)found->name, (long)(flags | O_NOFOLLOW), (long)mode);
}

static long hand_over(const struct asker *asker, int fd, int keeps) {
    struct seccomp_notif_addfd add = {.id = asker->id, .flags = ADDFD_SEND, .srcfd = (__u32)fd,
                                      .newfd_flags = keeps ? 0 : O_CLOEXEC};
    long result = call3(__NR_ioctl, keeper.listener, (long)SECCOMP_IOCTL_NOTIF_ADDFD, (long)&add);
    if (result == -EINVAL) { /* before 5.14: two steps */
        add.flags = 0;
        result = call3(__NR_ioctl, keeper.listener, (long)SECCOMP_IOCTL_NOTIF_ADDFD, (long)&add);
        if (result >= 0) {
            struct seccomp_notif_resp answer = {.id = asker->id, .val = result};
            result = call3(__NR_ioctl, keeper.listener, (long)SECCOMP_IOCTL_NOTIF_SEND, (long)&answer);
        }
    }
    call1(__NR_close, fd);
    return result < 0 && result != -ENOENT ? result : ANSWERED; /* ENOENT: the asker is gone */
}

/* An open of a FIFO waits for the other end: in a child of ours, so that the others need not wait along. */
static long open_in_child(const struct asker *asker, const struct found *found, uint64_t flags, int keeps) {
    long child = call5(__NR_clone, SIGCHLD, 0, 0, 0, 0);
    if (child != 0)
        return child < 0 ? child : ANSWERED;
    long fd = open_found(found, flags, 0);
    long result = fd < 0 ? fd : hand_over(asker, (int)fd, keeps);
    if (result < 0) {
        struct seccomp_notif_resp answer = {.id = asker->id, .error = (int)result};
        call3(__NR_ioctl, keeper.listener, (long)SECCOMP_IOCTL_NOTIF_SEND, (long)&answer);
    }
    leave(0);
}

long serve_open(struct asker *asker, struct found *found, uint64_t flags, uint64_t mode) {
    unsigned allowed = keeper.places[found->place].flags;
    int exists = found->fd >= 0;
    int keeps = !(flags & O_CLOEXEC); /* over an exec of the asker's */
    flags |= O_NOCTTY | O_CLOEXEC;
    if (exists && (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
        return -EEXIST;
    if (!exists && !(flags & O_CREAT))
        return -ENOENT;
    if (exists && IS(found->mode, LINK) && !(flags & O_PATH))
        return -ELOOP;
    if (exists && found->slash && flags & O_CREAT)
        return -EISDIR;
    if (allowed & PYRT_PLACE_READ_ONLY && writes(found, flags) && !(flags & O_PATH) &&
        !(allowed & PYRT_PLACE_PROC && is_of_a_process(found->path)))
        return IS(found->mode, DIRECTORY) && !(flags & TMPFILE) ? -EISDIR : -EROFS;
    if (exists && (IS(found->mode, CHARACTER) || IS(found->mode, BLOCK)) && !(allowed & PYRT_PLACE_DEVICES) &&
        !found->magic && !(flags & O_PATH))
        return -EACCES;
    if (exists && !(flags & TMPFILE))
        flags &= ~(uint64_t)O_CREAT; /* it is there: nothing is made, and no other file in its place */
    if (exists && IS(found->mode, FIFO) && !(flags & (O_NONBLOCK | O_PATH)))
        return open_in_child(asker, found, flags, keeps);
    long fd = open_found(found, flags, mode);
    asker_leave();
    return fd < 0 ? fd : hand_over(asker, (int)fd, keeps);
}
