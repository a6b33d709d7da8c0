#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cleanup.h"
#include "resolve.h"
#include "walk.h"

#define DEVPTS_MAGIC 0x1cd1 /* DEVPTS_SUPER_MAGIC, linux/magic.h */
#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

static int send_fd(int socket, int fd) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    memset(&control, 0, sizeof control);
    char byte = 0;
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    return sendmsg(socket, &message, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

/* The master of a new pty of the container's own devpts, looked at: neither the image nor a volume may have put something
 * else there, and the slave comes from the master, never from a path (CVE-2025-52565). */
static int open_master(struct pyrt_walk *walk, const struct pyrt_step *op) {
    struct pyrt_place place = pyrt_place_of(walk, "/dev/pts");
    pyrt_fd directory = op->flags & PYRT_HOST_TERMINAL
                            ? open("/dev/pts", O_PATH | O_DIRECTORY | O_CLOEXEC)
                            : pyrt_resolve(place.root, place.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return -1;
    pyrt_fd master = openat(directory, "ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
    struct stat status;
    struct statfs fs;
    if (master < 0 || fstat(master, &status) < 0 || fstatfs(master, &fs) < 0)
        return -1;
    if (!S_ISCHR(status.st_mode) || status.st_rdev != makedev(5, 2) || fs.f_type != DEVPTS_MAGIC) {
        errno = ENXIO;
        return -1;
    }
    int unlocked = 0;
    struct winsize size = {(unsigned short)(op->mode >> 16), (unsigned short)(op->mode & 0xffff), 0, 0};
    if (ioctl(master, TIOCSPTLCK, &unlocked) < 0 || (op->mode && ioctl(master, TIOCSWINSZ, &size) < 0))
        return -1;
    return pyrt_take(&master);
}

/* /dev/console of the container is the slave: bound on a file that is made here, in whatever /dev there is. */
static int bind_console(struct pyrt_walk *walk, const struct pyrt_step *op, int slave) {
    const char *name;
    pyrt_fd dev = pyrt_open_parent(walk, "/dev/console", &name);
    pyrt_fd made = dev < 0 ? -1 : openat(dev, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDONLY | O_CLOEXEC, 0620);
    pyrt_fd console = made < 0 ? -1 : openat(dev, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (console < 0)
        return pyrt_walk_fail(walk, PYRT_AT_CONSOLE, "/dev/console");
    struct pyrt_step bind = *op;
    bind.target = "/dev/console";
    bind.flags = PYRT_NOSUID | PYRT_NOEXEC;
    bind.mount_flags = 0;
    return pyrt_bind_fd(walk, &bind, slave, console, PYRT_AT_CONSOLE);
}

int pyrt_open_console(struct pyrt_walk *walk, const struct pyrt_step *op) {
    pyrt_fd master = open_master(walk, op);
    if (master < 0)
        return pyrt_walk_fail(walk, PYRT_AT_CONSOLE, "/dev/pts/ptmx");
    pyrt_fd slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0 || fchown(slave, op->uid, (gid_t)-1) < 0)
        return pyrt_walk_fail(walk, PYRT_AT_CONSOLE, "pty");
    if (!(op->flags & PYRT_HOST_TERMINAL) && bind_console(walk, op, slave) < 0)
        return -1;
    if (send_fd(walk->console, master) < 0)
        return pyrt_walk_fail(walk, PYRT_AT_CONSOLE, "SCM_RIGHTS");
    walk->terminal = pyrt_take(&slave);
    return 0;
}
