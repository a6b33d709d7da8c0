#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "resolve.h"
#include "walk.h"

#define MAX_LINKS 40 /* as path_resolution(7) */

struct pyrt_fd_path pyrt_fd_path(int fd) {
    struct pyrt_fd_path path = {"/proc/self/fd/"};
    char digits[12];
    size_t n = 0, length = strlen(path.text);
    unsigned value = (unsigned)fd;
    do
        digits[n++] = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    while (n)
        path.text[length++] = digits[--n];
    return path;
}

/* Puts what the dangling link at path[begin..end) points to in its place; a relative target stays beside the link. Where
 * somebody has put something else there meanwhile the path stays as it is, for another look. */
static int follow_link(char path[PATH_MAX], int parent, size_t begin, size_t end) {
    char link[PATH_MAX], rest[PATH_MAX], name[NAME_MAX + 1];
    if (end - begin >= sizeof name) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(name, path + begin, end - begin);
    name[end - begin] = '\0';
    ssize_t size = readlinkat(parent, name, link, sizeof link);
    if (size < 0)
        return errno == EINVAL || errno == ENOENT ? 0 : -1;
    size_t tail = strlen(path + end) + 1, front = link[0] == '/' ? 0 : begin;
    if (front + (size_t)size + tail > PATH_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(rest, path + end, tail);
    memcpy(path + front, link, (size_t)size);
    memcpy(path + front + size, rest, tail);
    return 0;
}

struct new_directory {
    uint32_t mode, uid, gid;
};

/* The directory at path[..end), made in parent where it is missing. EEXIST: a dangling link stands there. */
static int enter_or_make(int root, int parent, char *path, size_t begin, size_t end, struct new_directory new) {
    char kept = path[end];
    path[end] = '\0';
    int next = pyrt_resolve(root, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (next < 0 && errno == ENOENT && mkdirat(parent, path + begin, new.mode) == 0 &&
        fchownat(parent, path + begin, new.uid, new.gid, AT_SYMLINK_NOFOLLOW) == 0)
        next = openat(parent, path + begin, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    path[end] = kept;
    return next;
}

static int open_root(int root) {
    return pyrt_resolve(root, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

int pyrt_make_directories(struct pyrt_walk *walk, const char *wanted, uint32_t mode, uint32_t uid, uint32_t gid) {
    struct pyrt_place place = pyrt_place_of(walk, wanted);
    int whole = pyrt_resolve(place.root, place.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (whole >= 0 || errno != ENOENT)
        return whole;
    char path[PATH_MAX];
    size_t size = strlen(place.path) + 1, begin = 0;
    if (size > sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(path, place.path, size);
    struct new_directory new = {mode, uid, gid};
    pyrt_fd here = open_root(place.root);
    for (int links = 0; here >= 0;) {
        begin += strspn(path + begin, "/");
        size_t end = begin + strcspn(path + begin, "/");
        if (end == begin)
            break;
        int next = enter_or_make(place.root, here, path, begin, end, new);
        if (next >= 0) {
            begin = end;
        } else if (errno == EEXIST && links++ < MAX_LINKS) {
            if (follow_link(path, here, begin, end) < 0)
                return -1;
            begin = 0;
            next = open_root(place.root);
        } else {
            return -1;
        }
        pyrt_close(&here);
        here = next;
    }
    return pyrt_take(&here);
}

int pyrt_open_parent(struct pyrt_walk *walk, const char *path, const char **name) {
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    if (length >= sizeof parent) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(parent, path, length);
    parent[length] = '\0';
    *name = slash ? slash + 1 : path;
    return pyrt_make_directories(walk, length ? parent : "/", 0755, PYRT_OWNER_STAYS, PYRT_OWNER_STAYS);
}

int pyrt_make_file(struct pyrt_walk *walk, const char *wanted) {
    char path[PATH_MAX];
    if (strlen(wanted) >= sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(path, wanted, strlen(wanted) + 1);
    for (int links = 0; links <= MAX_LINKS; links++) {
        struct pyrt_place place = pyrt_place_of(walk, path);
        int file = pyrt_resolve(place.root, place.path, O_PATH | O_CLOEXEC);
        if (file >= 0 || errno != ENOENT)
            return file;
        const char *name;
        pyrt_fd parent = pyrt_open_parent(walk, path, &name);
        if (parent < 0)
            return -1;
        pyrt_fd made = openat(parent, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, 0644);
        if (made >= 0)
            return openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (errno != EEXIST || follow_link(path, parent, (size_t)(name - path), strlen(path)) < 0)
            return -1;
    }
    errno = ELOOP;
    return -1;
}
