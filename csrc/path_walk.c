#define _GNU_SOURCE
/* Theory of operation. openat2 with RESOLVE_IN_ROOT does this inside the kernel; here it is done by hand.

   `rest` is what is still to be walked, `done` the way so far, without symbolic links. Every component is opened as
   itself (O_PATH|O_NOFOLLOW): a link is read and its target put before the rest, an absolute one sends us back to the
   root. ".." never asks the kernel, which would leave the root if somebody moved a directory away meanwhile: it takes
   the last name off `done` and walks `done` again from the root. A name that became a link between two looks is
   EAGAIN, and the whole walk starts anew. */
#include "path_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "bounds.h"

struct walk {
    int root;
    int flags;
    const struct pyrt_maker *maker;
    int here; /* O_PATH of the directory that `done` names */
    int links;
    uint64_t *detour;
    uint64_t own_detour;
    char *next; /* into rest */
    char rest[PATH_MAX];
    char done[PATH_MAX];
    char target[PATH_MAX];
};

static void close_here(struct walk *walk) {
    pyrt_close(&walk->here);
}

static int open_directory(int parent, const char *name) {
    int fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

static int enter(struct walk *walk, int directory) {
    pyrt_close(&walk->here);
    walk->here = directory;
    return directory < 0 ? directory : 0;
}

static int enter_root(struct walk *walk) {
    walk->done[0] = 0;
    return enter(walk, open_directory(walk->root, "."));
}

/* From the root along `done`. What is not as it was a moment ago means that somebody renames things. */
static int enter_done(struct walk *walk) {
    char *name = walk->done;
    int failed = enter(walk, open_directory(walk->root, "."));

    while (failed == 0 && *name != 0) {
        char *end = strchrnul(name, '/');
        char kept = *end;

        *end = 0;
        failed = enter(walk, open_directory(walk->here, name));
        *end = kept;
        name = kept ? end + 1 : end;
    }
    return failed == -ENOTDIR || failed == -ENOENT || failed == -ELOOP ? -EAGAIN : failed;
}

/* Forty links of four thousand bytes each, and "..", which walks from the root again, make a short name expensive. */
static int charge(const struct walk *walk, const char *way, size_t size) {
    uint64_t names = 1;

    for (size_t i = 0; i < size; i++)
        names += way[i] == '/';
    if (names > *walk->detour)
        return -EFBIG;
    *walk->detour -= names;
    return 0;
}

static int enter_parent(struct walk *walk) {
    char *slash = strrchr(walk->done, '/');

    if (charge(walk, walk->done, strlen(walk->done)) < 0)
        return -EFBIG;
    if (slash != NULL)
        *slash = 0;
    else
        walk->done[0] = 0;
    return enter_done(walk);
}

static int enter_child(struct walk *walk, const char *name, int *directory) {
    size_t size = strlen(walk->done), more = strlen(name);

    if (size + more + 2 > sizeof walk->done)
        return -ENAMETOOLONG;
    if (size > 0)
        walk->done[size++] = '/';
    memcpy(walk->done + size, name, more + 1);
    return enter(walk, pyrt_take(directory));
}

/* Puts the target of the link in the place of its name; `slash` says that something must follow. */
static int follow(struct walk *walk, int link, bool slash) {
    ssize_t size = readlinkat(link, "", walk->target, sizeof walk->target);
    size_t tail = strlen(walk->next);

    if (size < 0)
        return -errno;
    if (size == 0)
        return -ENOENT;
    if (++walk->links > PYRT_MAX_LINKS)
        return -ELOOP;
    if ((size_t)size + slash + tail >= sizeof walk->rest)
        return -ENAMETOOLONG;
    if (charge(walk, walk->target, (size_t)size) < 0)
        return -EFBIG;
    memmove(walk->rest + size + slash, walk->next, tail + 1);
    if (slash)
        walk->rest[size] = '/';
    memcpy(walk->rest, walk->target, (size_t)size);
    walk->next = walk->rest;
    return walk->rest[0] == '/' ? enter_root(walk) : 0;
}

/* The result is a directory that stands open, or the last name again with the flags that the caller wants. */
static int finish(const struct walk *walk, int parent, const char *name) {
    int fd = openat(parent, name, walk->flags | O_NOFOLLOW);

    if (fd >= 0)
        return fd;
    return errno == ELOOP ? -EAGAIN : -errno;
}

static int finish_here(const struct walk *walk) {
    int fd = openat(walk->here, ".", walk->flags & ~O_NOFOLLOW);

    return fd < 0 ? -errno : fd;
}

static int finish_last(const struct walk *walk, const char *name, int *found, const struct stat *status) {
    if (walk->flags & O_DIRECTORY && !S_ISDIR(status->st_mode))
        return -ENOTDIR;
    if (walk->flags & O_PATH)
        return pyrt_take(found);
    return finish(walk, walk->here, name);
}

static int make(const struct walk *walk, const char *name, int err) {
    return walk->maker == NULL || walk->maker->make == NULL ? -err : walk->maker->make(walk->maker->self, walk->here, name, err);
}

/* One ordinary component. 0 to go on, 1 with *result set, or a negative errno. */
static int step(struct walk *walk, const char *name, bool last, bool slash, int *result) {
    bool directory = !last || slash || (walk->flags & O_DIRECTORY);
    pyrt_fd found = -1;
    struct stat status;

    if (last && !slash && walk->flags & O_NOFOLLOW) {
        *result = openat(walk->here, name, walk->flags);
        return *result < 0 ? -errno : 1;
    }
    for (int tries = 0; found < 0; tries++) {
        int err;

        found = openat(walk->here, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (found >= 0 && fstat(found, &status) < 0)
            return -errno;
        if (found >= 0 && (S_ISLNK(status.st_mode) || S_ISDIR(status.st_mode) || !directory))
            break;
        err = found >= 0 ? ENOTDIR : errno;
        if (!directory || tries > 0 || (err != ENOENT && err != ENOTDIR))
            return -err;
        pyrt_close(&found);
        err = make(walk, name, err);
        if (err < 0)
            return err;
    }
    if (S_ISLNK(status.st_mode))
        return follow(walk, found, slash);
    if (directory && !last)
        return enter_child(walk, name, &found);
    *result = finish_last(walk, name, &found, &status);
    return *result < 0 ? *result : 1;
}

static int walk_rest(struct walk *walk) {
    for (;;) {
        char *name = walk->next + strspn(walk->next, "/");
        char *end = strchrnul(name, '/');
        bool slash = *end == '/';
        bool last = end[strspn(end, "/")] == 0;
        int result = -1, stepped = 0;

        if (*name == 0)
            return finish_here(walk);
        walk->next = slash ? end + 1 : end;
        *end = 0;
        if (strcmp(name, "..") == 0)
            stepped = enter_parent(walk);
        else if (strcmp(name, ".") != 0)
            stepped = step(walk, name, last, slash, &result);
        if (stepped != 0)
            return stepped < 0 ? stepped : result;
    }
}

static int walk_once(struct walk *walk, const char *path, size_t size) {
    int failed;

    memcpy(walk->rest, path, size + 1);
    walk->next = walk->rest;
    walk->links = 0;
    failed = enter_root(walk);
    return failed < 0 ? failed : walk_rest(walk);
}

int pyrt_path_walk(int root, const char *path, int flags, const struct pyrt_maker *maker) {
    __attribute__((cleanup(close_here))) struct walk walk;
    size_t size = strlen(path);
    int result = -EAGAIN;

    walk.here = -1;
    if (size == 0)
        return -ENOENT;
    if (flags & (O_CREAT | O_TMPFILE) & ~O_DIRECTORY)
        return -EINVAL;
    if (size >= sizeof walk.rest)
        return -ENAMETOOLONG;
    walk.root = root;
    walk.flags = flags | O_CLOEXEC;
    walk.maker = maker;
    walk.own_detour = PYRT_MAX_DETOUR;
    walk.detour = maker != NULL && maker->detour != NULL ? maker->detour : &walk.own_detour;
    for (int tries = 0; result == -EAGAIN && tries < PYRT_MAX_RESOLVE_TRIES; tries++)
        result = walk_once(&walk, path, size);
    return result;
}
