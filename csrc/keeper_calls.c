/* Every system call that the filter asks us about (pyrt/runtime/notify_filter.py has the same list): where its paths are among
 * its arguments, and how it is done for the asker where a path leads through a served place. What comes after the path is at the
 * same distance from it in all forms of a call. */
#include <asm/stat.h>
#include <asm/statfs.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <linux/stat.h>
#include <linux/time_types.h>

#include "keeper.h"

#define CWD (-1)
#ifndef __NR_fchmodat2
#define __NR_fchmodat2 452 /* Linux 6.6 */
#endif
#define VALUE_SIZE 65536 /* XATTR_SIZE_MAX, XATTR_LIST_MAX */

enum action {
    OPEN, OPEN_HOW, CREAT, STAT, STATX, ACCESS, READLINK, CHDIR, CHROOT, EXECVE, GETCWD, STATFS, TRUNCATE, CHMOD, CHOWN,
    UTIMENS, SETXATTR, GETXATTR, LISTXATTR, REMOVEXATTR, MKDIR, MKNOD, UNLINK, SYMLINK, RENAME, HARD_LINK
};

#define NO_FOLLOW 1 /* the last link itself is meant */
#define CHANGES 2   /* what a read-only place refuses */
#define ENTRY 4     /* about a name in a directory */
#define REMOVES_DIRECTORY 8

static const struct call {
    int number;
    unsigned char action;
    signed char dirfd, path; /* indices of arguments */
    signed char flags;       /* where AT_SYMLINK_NOFOLLOW would be, from the path on; 0 for nowhere */
    unsigned char how;
} calls[] = {
#ifdef __NR_open /* the calls that newer machines never had */
    {__NR_open, OPEN, CWD, 0, 0, 0},
    {__NR_creat, CREAT, CWD, 0, 0, 0},
    {__NR_stat, STAT, CWD, 0, 0, 0},
    {__NR_lstat, STAT, CWD, 0, 0, NO_FOLLOW},
    {__NR_access, ACCESS, CWD, 0, 0, 0},
    {__NR_readlink, READLINK, CWD, 0, 0, NO_FOLLOW},
    {__NR_chmod, CHMOD, CWD, 0, 0, CHANGES},
    {__NR_chown, CHOWN, CWD, 0, 0, CHANGES},
    {__NR_lchown, CHOWN, CWD, 0, 0, CHANGES | NO_FOLLOW},
    {__NR_mkdir, MKDIR, CWD, 0, 0, CHANGES | ENTRY},
    {__NR_mknod, MKNOD, CWD, 0, 0, CHANGES | ENTRY},
    {__NR_unlink, UNLINK, CWD, 0, 0, CHANGES | ENTRY},
    {__NR_rmdir, UNLINK, CWD, 0, 0, CHANGES | ENTRY | REMOVES_DIRECTORY},
    {__NR_symlink, SYMLINK, CWD, 1, 0, CHANGES | ENTRY},
    {__NR_rename, RENAME, CWD, 0, 0, CHANGES | ENTRY},
    {__NR_link, HARD_LINK, CWD, 0, 0, CHANGES | ENTRY},
#endif
#ifdef __NR_newfstatat
    {__NR_newfstatat, STAT, 0, 1, 2, 0},
#endif
#ifdef __NR_renameat
    {__NR_renameat, RENAME, 0, 1, 0, CHANGES | ENTRY},
#endif
    {__NR_openat, OPEN, 0, 1, 0, 0},
    {__NR_openat2, OPEN_HOW, 0, 1, 0, 0},
    {__NR_statx, STATX, 0, 1, 1, 0},
    {__NR_faccessat, ACCESS, 0, 1, 0, 0},
    {__NR_faccessat2, ACCESS, 0, 1, 2, 0},
    {__NR_readlinkat, READLINK, 0, 1, 0, NO_FOLLOW},
    {__NR_chdir, CHDIR, CWD, 0, 0, 0},
    {__NR_chroot, CHROOT, CWD, 0, 0, 0},
    {__NR_execve, EXECVE, CWD, 0, 0, 0},
    {__NR_execveat, EXECVE, 0, 1, 3, 0},
    {__NR_getcwd, GETCWD, CWD, 0, 0, 0},
    {__NR_statfs, STATFS, CWD, 0, 0, 0},
    {__NR_truncate, TRUNCATE, CWD, 0, 0, CHANGES},
    {__NR_fchmodat, CHMOD, 0, 1, 0, CHANGES},
    {__NR_fchmodat2, CHMOD, 0, 1, 2, CHANGES},
    {__NR_fchownat, CHOWN, 0, 1, 3, CHANGES},
    {__NR_utimensat, UTIMENS, 0, 1, 2, CHANGES},
    {__NR_setxattr, SETXATTR, CWD, 0, 0, CHANGES},
    {__NR_lsetxattr, SETXATTR, CWD, 0, 0, CHANGES | NO_FOLLOW},
    {__NR_getxattr, GETXATTR, CWD, 0, 0, 0},
    {__NR_lgetxattr, GETXATTR, CWD, 0, 0, NO_FOLLOW},
    {__NR_listxattr, LISTXATTR, CWD, 0, 0, 0},
    {__NR_llistxattr, LISTXATTR, CWD, 0, 0, NO_FOLLOW},
    {__NR_removexattr, REMOVEXATTR, CWD, 0, 0, CHANGES},
    {__NR_lremovexattr, REMOVEXATTR, CWD, 0, 0, CHANGES | NO_FOLLOW},
    {__NR_mkdirat, MKDIR, 0, 1, 0, CHANGES | ENTRY},
    {__NR_mknodat, MKNOD, 0, 1, 0, CHANGES | ENTRY},
    {__NR_unlinkat, UNLINK, 0, 1, 1, CHANGES | ENTRY},
    {__NR_symlinkat, SYMLINK, 1, 2, 0, CHANGES | ENTRY},
    {__NR_renameat2, RENAME, 0, 1, 0, CHANGES | ENTRY},
    {__NR_linkat, HARD_LINK, 0, 1, 0, CHANGES | ENTRY},
};

/* One request, with what has been read of it. */
static struct request {
    const struct call *call;
    const uint64_t *rest; /* the arguments after the path */
    char path[PATH_SIZE], other[PATH_SIZE], name[NAME_SIZE];
    char value[VALUE_SIZE];
    struct found found, second;
} request;

static long get_stat(struct asker *asker, const struct found *found) {
    struct stat status;
    long result = call2(__NR_fstat, found->fd, (long)&status);
    asker_leave();
    return result < 0 ? result : asker_write(asker, request.rest[0], &status, sizeof status);
}

static long get_statx(struct asker *asker, const struct found *found) {
    struct statx status;
    long flags = AT_EMPTY_PATH | (long)(request.rest[0] & AT_STATX_SYNC_TYPE);
    long result = call5(__NR_statx, found->fd, (long)"", flags, (long)request.rest[1], (long)&status);
    asker_leave();
    return result < 0 ? result : asker_write(asker, request.rest[2], &status, sizeof status);
}

static long may_access(int fd, unsigned mode) {
    char path[48];
    long result = call4(__NR_faccessat2, fd, (long)"", (long)mode, AT_EMPTY_PATH | AT_EACCESS);
    if (result != -ENOSYS && result != -EINVAL && result != -EPERM)
        return result;
    text_fd_path(path, fd, ""); /* before Linux 5.8, or a filter that does not know the call */
    return call3(__NR_faccessat, AT_FDCWD, (long)path, (long)mode);
}

static long get_access(const struct found *found) {
    unsigned mode = (unsigned)request.rest[0];
    if (mode & 2 && keeper.places[found->place].flags & PYRT_PLACE_READ_ONLY && !IS(found->mode, CHARACTER))
        return -EROFS;
    return may_access(found->fd, mode);
}

static long get_link(struct asker *asker, const struct found *found, long *value) {
    static char host[PATH_SIZE], text[PATH_SIZE];
    int of_proc = keeper.places[found->place].flags & PYRT_PLACE_PROC;
    if (!IS(found->mode, LINK))
        return -EINVAL;
    long size = call4(__NR_readlinkat, found->fd, (long)"", (long)host, sizeof host - 1);
    if (size < 0)
        return size;
    host[size] = 0;
    text_add(text, host);
    if (of_proc && found->path[0] && text_same(found->path, keeper.places[found->place].target)) {
        if (text_same(found->name, "self") || text_same(found->name, "thread-self")) {
            char *end = text_add_number(text, (unsigned long)asker->tgid);
            if (found->name[0] == 't')
                text_add_number(text_add(end, "/task/"), (unsigned long)asker->tid);
        }
    } else if (of_proc) {
        path_inside(host, text, sizeof text);
    }
    size = (long)text_size(text);
    *value = size < (long)request.rest[1] ? size : (long)request.rest[1];
    if ((int)request.rest[1] <= 0)
        return -EINVAL;
    asker_leave();
    return asker_write(asker, request.rest[0], text, (size_t)*value);
}

static long get_cwd(struct asker *asker, const uint64_t *arguments, long *value) {
    static char host[PATH_SIZE], inside[PATH_SIZE];
    if (asker_become(asker) < 0)
        return UNKNOWN;
    long size = asker_link(asker, "cwd", -1, host, sizeof host);
    asker_leave();
    const struct place *root = &keeper.places[0];
    if (size <= 0 || text_below(host, root->source, root->source_size) || !path_inside(host, inside, sizeof inside))
        return UNKNOWN;
    *value = (long)text_size(inside) + 1;
    if ((uint64_t)*value > arguments[1])
        return -ERANGE;
    return asker_write(asker, arguments[0], inside, (size_t)*value);
}

static long get_statfs(struct asker *asker, const struct found *found) {
    struct statfs status;
    long result = call2(__NR_fstatfs, found->fd, (long)&status);
    asker_leave();
    return result < 0 ? result : asker_write(asker, request.rest[0], &status, sizeof status);
}

/* Where the kernel shall go by itself, the root gets what it must find there. */
static long go_natively(struct asker *asker, enum action action, const struct found *found) {
    long result;
    if (found->fd < 0)
        return -ENOENT;
    if (action == EXECVE) {
        if (!IS(found->mode, REGULAR))
            return -EACCES;
        result = mirror_program(asker, found);
        return result < 0 ? result : UNKNOWN;
    }
    if (!IS(found->mode, DIRECTORY))
        return -ENOTDIR;
    result = may_access(found->fd, 1);
    if (result == 0 && found->place != 0 && found->parent >= 0 && found->name[0])
        result = mirror_entry(found, found->name, DIRECTORY, 0);
    return result < 0 ? result : UNKNOWN;
}

static long set_times(const struct found *found, const struct __kernel_timespec *given) {
    char path[48];
    if (IS(found->mode, LINK))
        return call4(__NR_utimensat, found->parent, (long)found->name, (long)given, AT_SYMLINK_NOFOLLOW);
    text_fd_path(path, found->fd, "");
    return call4(__NR_utimensat, AT_FDCWD, (long)path, (long)given, 0);
}

static long change_object(const struct found *found, const void *given) {
    char path[48];
    text_fd_path(path, found->fd, "");
    switch (request.call->action) {
    case TRUNCATE:
        return call2(__NR_truncate, (long)path, (long)request.rest[0]);
    case CHMOD:
        return IS(found->mode, LINK) ? -EOPNOTSUPP : call3(__NR_fchmodat, AT_FDCWD, (long)path, (long)request.rest[0]);
    case CHOWN:
        return call5(__NR_fchownat, found->fd, (long)"", (long)request.rest[0], (long)request.rest[1], AT_EMPTY_PATH);
    case UTIMENS:
        return set_times(found, given);
    case SETXATTR:
        return IS(found->mode, LINK) ? -EPERM
                                     : call5(__NR_setxattr, (long)path, (long)request.name, (long)request.value,
                                             (long)request.rest[2], (long)request.rest[3]);
    default:
        return IS(found->mode, LINK) ? -EPERM : call2(__NR_removexattr, (long)path, (long)request.name);
    }
}

static long get_attributes(struct asker *asker, const struct found *found, long *value) {
    char path[48];
    int list = request.call->action == LISTXATTR;
    uint64_t to = request.rest[list ? 0 : 1], size = request.rest[list ? 1 : 2];
    long room = size > VALUE_SIZE ? VALUE_SIZE : (long)size;
    text_fd_path(path, found->fd, "");
    if (IS(found->mode, LINK))
        return list ? 0 : -ENODATA;
    long result = list ? call3(__NR_listxattr, (long)path, (long)request.value, room)
                       : call4(__NR_getxattr, (long)path, (long)request.name, (long)request.value, room);
    asker_leave();
    *value = result;
    return result <= 0 || size == 0 ? (result < 0 ? result : 0) : asker_write(asker, to, request.value, (size_t)result);
}

static long change_entry(const struct found *found) {
    long how = request.call->how & REMOVES_DIRECTORY ? AT_REMOVEDIR
               : request.call->dirfd >= 0            ? (long)request.rest[0]
                                                     : 0;
    switch (request.call->action) {
    case MKDIR:
        return call3(__NR_mkdirat, found->parent, (long)found->name, (long)request.rest[0]);
    case MKNOD:
        return call4(__NR_mknodat, found->parent, (long)found->name, (long)request.rest[0], (long)request.rest[1]);
    case SYMLINK:
        return call3(__NR_symlinkat, (long)request.other, found->parent, (long)found->name);
    default: {
        long result = call3(__NR_unlinkat, found->parent, (long)found->name, how);
        if (result == 0)
            mirror_removed(found);
        return result;
    }
    }
}

/* What the asker gives besides the path, read before we have his rights. */
static long read_more(struct asker *asker, const uint64_t *arguments, const void **given) {
    static struct __kernel_timespec pair[2];
    enum action action = request.call->action;
    *given = 0;
    if (action == SYMLINK)
        return asker_text(asker, arguments[0], request.other, sizeof request.other);
    if (action == UTIMENS && request.rest[0]) {
        *given = pair;
        return asker_read(asker, request.rest[0], pair, sizeof pair);
    }
    if (action == SETXATTR || action == GETXATTR || action == REMOVEXATTR) {
        long size = asker_text(asker, request.rest[0], request.name, sizeof request.name);
        if (size < 0)
            return size == -ENAMETOOLONG ? -ERANGE : size;
    }
    if (action == SETXATTR && request.rest[2] > VALUE_SIZE)
        return -E2BIG;
    return action == SETXATTR && request.rest[2] ? asker_read(asker, request.rest[1], request.value, request.rest[2]) : 0;
}

static long serve_two(struct asker *asker, const uint64_t *arguments) {
    int at = request.call->dirfd >= 0;
    int dirfd = at ? (int)arguments[2] : AT_FDCWD, is_link = request.call->action == HARD_LINK;
    uint64_t flags = request.call->number == __NR_renameat2 || request.call->number == __NR_linkat ? arguments[4] : 0;
    unsigned how = is_link && flags & AT_SYMLINK_FOLLOW ? FOLLOW : 0;
    long result = asker_text(asker, arguments[at ? 3 : 1], request.other, sizeof request.other);
    if (result < 0)
        return result == -EPERM ? UNKNOWN : result;
    long first = find(asker, at ? (int)arguments[0] : AT_FDCWD, request.path, how, &request.found);
    asker_leave();
    long second = find(asker, dirfd, request.other, 0, &request.second);
    if (first == UNKNOWN && second == UNKNOWN)
        return UNKNOWN;
    if (first < 0 || second < 0)
        return first < 0 ? first : second;
    if (first == UNKNOWN || second == UNKNOWN || request.found.place != request.second.place)
        return -EXDEV;
    const struct found *from = &request.found, *to = &request.second;
    if (from->fd < 0)
        return -ENOENT;
    if (from->parent < 0 || to->parent < 0 || !from->name[0] || !to->name[0])
        return is_link ? -EEXIST : -EBUSY;
    if (keeper.places[from->place].flags & PYRT_PLACE_READ_ONLY)
        return -EROFS;
    if (is_link)
        return call5(__NR_linkat, from->parent, (long)from->name, to->parent, (long)to->name, 0);
    result = call5(__NR_renameat2, from->parent, (long)from->name, to->parent, (long)to->name, (long)flags);
    if (result == 0)
        mirror_renamed(from, to);
    return result;
}

static long serve_found(struct asker *asker, struct found *found, const void *given, long *value) {
    unsigned allowed = keeper.places[found->place].flags;
    const struct call *call = request.call;
    if (call->how & ENTRY && (found->parent < 0 || !found->name[0])) /* a place itself */
        return call->action == UNLINK ? -EBUSY : -EEXIST;
    if (call->how & CHANGES && allowed & PYRT_PLACE_READ_ONLY)
        return found->fd >= 0 || call->how & ENTRY ? -EROFS : -ENOENT;
    if (call->how & ENTRY)
        return change_entry(found);
    if (call->action == CHDIR || call->action == CHROOT || call->action == EXECVE)
        return go_natively(asker, call->action, found);
    if (found->fd < 0)
        return -ENOENT;
    switch (call->action) {
    case STAT:
        return get_stat(asker, found);
    case STATX:
        return get_statx(asker, found);
    case ACCESS:
        return get_access(found);
    case READLINK:
        return get_link(asker, found, value);
    case STATFS:
        return get_statfs(asker, found);
    case GETXATTR:
    case LISTXATTR:
        return get_attributes(asker, found, value);
    default:
        return change_object(found, given);
    }
}

static long serve_opening(struct asker *asker, int dirfd) {
    uint64_t flags = request.rest[0], mode = request.rest[1];
    struct open_how how = {0};
    if (request.call->action == CREAT) {
        flags = O_CREAT | O_WRONLY | O_TRUNC;
        mode = request.rest[0];
    }
    if (request.call->action == OPEN_HOW) {
        if (asker_read(asker, request.rest[0], &how, sizeof how) < 0)
            return UNKNOWN;
        if (how.resolve & ~(uint64_t)RESOLVE_CACHED)
            return UNKNOWN; /* about a tree of the asker's own */
        flags = how.flags;
        mode = how.mode;
    }
    flags = (uint32_t)flags; /* an int, and only openat2 looks at the other half */
    int itself = flags & O_NOFOLLOW || (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);
    int changes = (flags & O_ACCMODE) != O_RDONLY || flags & (O_CREAT | O_TRUNC);
    long result = find(asker, dirfd, request.path, (itself ? 0 : FOLLOW) | (changes ? 0 : QUICK), &request.found);
    return result != 0 ? result : serve_open(asker, &request.found, flags, mode);
}

/* A program of the root itself may have an interpreter in a volume. */
static long mirror_interpreters(struct asker *asker) {
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    asker_leave();
    if (request.path[0] != '/' || keeper.nested)
        return UNKNOWN;
    found_close(&request.found);
    request.found.place = 0;
    request.found.fd = (int)call4(__NR_openat2, keeper.places[0].fd, (long)request.path, (long)&how, sizeof how);
    if (request.found.fd < 0)
        return UNKNOWN;
    long result = mirror_program(asker, &request.found);
    return result < 0 && result != -ENOENT ? result : UNKNOWN;
}

long serve(struct asker *asker, const struct seccomp_data *data, long *value) {
    const uint64_t *arguments = (const uint64_t *)data->args;
    const struct call *call = 0;
    for (size_t i = 0; i < sizeof calls / sizeof *calls && !call; i++)
        if (calls[i].number == data->nr)
            call = &calls[i];
    if (!call)
        return UNKNOWN;
    request.call = call;
    request.found.parent = request.found.fd = request.second.parent = request.second.fd = -1;
    if (call->action == GETCWD)
        return get_cwd(asker, arguments, value);
    request.rest = arguments + call->path + 1;
    if (!arguments[call->path] || asker_text(asker, arguments[call->path], request.path, sizeof request.path) < 0)
        return UNKNOWN;
    long result;
    if (call->action == RENAME || call->action == HARD_LINK) {
        result = serve_two(asker, arguments);
    } else if (call->action <= CREAT) {
        result = serve_opening(asker, call->dirfd < 0 ? AT_FDCWD : (int)arguments[call->dirfd]);
    } else {
        const void *given;
        int follow = !(call->how & (NO_FOLLOW | ENTRY)) && !(call->flags && request.rest[call->flags - 1] & AT_SYMLINK_NOFOLLOW);
        int natively = call->action == CHDIR || call->action == CHROOT || call->action == EXECVE;
        int looks = call->action == STAT || call->action == STATX || call->action == ACCESS;
        unsigned how = (follow ? FOLLOW : 0) | (looks ? LOOK : 0) | (natively ? MIRROR : 0) | (call->how & CHANGES ? 0 : QUICK);
        result = find(asker, call->dirfd < 0 ? AT_FDCWD : (int)arguments[call->dirfd], request.path, how, &request.found);
        if (result == 0) {
            asker_leave();
            result = read_more(asker, arguments, &given);
            if (result >= 0)
                result = asker_become(asker);
            if (result == 0)
                result = serve_found(asker, &request.found, given, value);
        }
        if (call->action == EXECVE && result == UNKNOWN && keeper.volumes)
            result = mirror_interpreters(asker);
        if (call->action == CHROOT && result == UNKNOWN)
            keeper.nested = 1;
        if (call->action == CHDIR && result == UNKNOWN && request.found.place != 0)
            keeper.inside = 1;
    }
    asker_leave();
    found_close(&request.found);
    found_close(&request.second);
    return result;
}
