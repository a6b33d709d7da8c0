#define _GNU_SOURCE
#include "directories.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cleanup.h"
#include "entry_name.h"
#include "path_walk.h"
#include "resolve.h"

#define TRUSTED_OPAQUE "trusted.overlay.opaque" /* overlayfs.rst */
#define USER_OPAQUE "user.overlay.opaque"

#define DIRECTORY (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

void pyrt_directories_init(struct pyrt_directories *directories, int root, const struct pyrt_policy *policy,
                           struct pyrt_allowance *allowance, bool by_walk) {
    *directories =
        (struct pyrt_directories){.root = root, .policy = policy, .allowance = allowance, .by_walk = by_walk};
}

void pyrt_directories_forget(struct pyrt_directories *directories) {
    for (size_t i = 0; i < directories->count; i++) {
        pyrt_close(&directories->open[i].fd);
        free(directories->open[i].name);
    }
    directories->count = 0;
    directories->latest = 0;
}

/* Where both are wanted the user's form is for containers in a user namespace, and not every file system has it. */
int pyrt_make_opaque(const struct pyrt_policy *policy, int directory) {
    if (policy->user_xattr && fsetxattr(directory, USER_OPAQUE, "y", 1, 0) < 0 && !policy->trusted_xattr)
        return -1;
    return policy->trusted_xattr ? fsetxattr(directory, TRUSTED_OPAQUE, "y", 1, 0) : 0;
}

bool pyrt_is_whiteout(int parent, const char *name) {
    struct stat status;

    return fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == 0;
}

/* FNV-1a. */
static uint32_t hash(const char *name, size_t size) {
    uint32_t value = 2166136261u;

    for (size_t i = 0; i < size; i++)
        value = (value ^ (uint8_t)name[i]) * 16777619u;
    return value;
}

static bool is(const struct pyrt_open_directory *open, const char *name, size_t size) {
    return open->size == size && memcmp(open->name, name, size) == 0;
}

static struct pyrt_open_directory *look_up(struct pyrt_directories *directories, const char *name, size_t size) {
    uint32_t wanted;

    /* Archives keep the files of one directory together. */
    if (directories->count > 0 && is(&directories->open[directories->latest], name, size))
        return &directories->open[directories->latest];
    wanted = hash(name, size);
    for (size_t i = 0; i < directories->count; i++)
        if (directories->open[i].hash == wanted && is(&directories->open[i], name, size))
            return &directories->open[i];
    return NULL;
}

static struct pyrt_open_directory *make_room(struct pyrt_directories *directories) {
    struct pyrt_open_directory *oldest = directories->open;

    if (directories->count < PYRT_MAX_OPEN_DIRECTORIES)
        return &directories->open[directories->count++];
    for (size_t i = 1; i < directories->count; i++)
        if (directories->clock - directories->open[i].used > directories->clock - oldest->used)
            oldest = &directories->open[i];
    pyrt_close(&oldest->fd);
    free(oldest->name);
    return oldest;
}

static int use(struct pyrt_directories *directories, struct pyrt_open_directory *open) {
    open->used = ++directories->clock;
    directories->latest = (size_t)(open - directories->open);
    return open->fd;
}

/* Takes the fd over. */
static int keep(struct pyrt_directories *directories, const char *name, size_t size, int fd) {
    pyrt_fd owned = fd;
    char *copy = strndup(name, size);
    struct pyrt_open_directory *open;

    if (copy == NULL)
        return -ENOMEM;
    open = make_room(directories);
    *open = (struct pyrt_open_directory){.name = copy, .size = size, .hash = hash(name, size), .fd = pyrt_take(&owned)};
    return use(directories, open);
}

static int replace_whiteout(const struct pyrt_directories *directories, int parent, const char *name) {
    pyrt_fd made = -1;

    if (!pyrt_is_whiteout(parent, name))
        return -ENOTDIR;
    if (unlinkat(parent, name, 0) < 0 || mkdirat(parent, name, 0755) < 0)
        return -errno;
    made = openat(parent, name, DIRECTORY | O_NOFOLLOW);
    return made < 0 || pyrt_make_opaque(directories->policy, made) < 0 ? -errno : 0;
}

/* For pyrt_path_walk: a directory that the archive uses and has not named. */
static int make_implied(void *self, int parent, const char *name, int err) {
    const struct pyrt_directories *directories = self;
    int failed = 0;

    /* A dangling link may point to such a name, which no tree of an image can have. */
    if (strncmp(name, PYRT_WHITEOUT_PREFIX, PYRT_WHITEOUT_SIZE) == 0)
        return -EINVAL;
    /* A name of four kilobytes makes two thousand directories. */
    if (directories->allowance->things == 0)
        return -EFBIG;
    directories->allowance->things--;
    if (err == ENOTDIR)
        failed = replace_whiteout(directories, parent, name);
    else if (mkdirat(parent, name, 0755) < 0)
        failed = -errno;
    if (failed == 0 && pyrt_set_implied(directories->policy, parent, name) != 0)
        failed = -errno;
    return failed;
}

/* The kernel walks what has no links; links are walked here, where their cost is counted. */
static int resolve(const struct pyrt_directories *directories, const char *name, int flags) {
    struct pyrt_maker maker = {.detour = &directories->allowance->detour};
    int fd = directories->by_walk ? -1 : pyrt_resolve_linkless(directories->root, name, flags);

    if (fd >= 0)
        return fd;
    if (!directories->by_walk && errno != ELOOP && errno != ENOSYS && errno != EPERM && errno != EAGAIN)
        return -errno;
    return pyrt_path_walk(directories->root, name, flags, &maker);
}

static int open_existing(const struct pyrt_directories *directories, const char *name) {
    int fd = resolve(directories, name, DIRECTORY);

    return fd == -EACCES ? resolve(directories, name, O_PATH | O_DIRECTORY | O_CLOEXEC) : fd;
}

static int open_named(struct pyrt_directories *directories, const char *name, bool make) {
    struct pyrt_maker maker = {.make = make_implied, .self = directories, .detour = &directories->allowance->detour};
    int fd = open_existing(directories, name);

    if (make && (fd == -ENOENT || fd == -ENOTDIR))
        fd = pyrt_path_walk(directories->root, name, DIRECTORY, &maker);
    return fd;
}

int pyrt_directories_resolve(const struct pyrt_directories *directories, const char *name) {
    return open_existing(directories, name);
}

int pyrt_directories_find(struct pyrt_directories *directories, const char *name, size_t size, bool make) {
    struct pyrt_open_directory *open;
    char terminated[PYRT_MAX_NAME + 1];
    int fd;

    if (size == 0)
        return directories->root;
    open = look_up(directories, name, size);
    if (open != NULL)
        return use(directories, open);
    memcpy(terminated, name, size);
    terminated[size] = 0;
    fd = open_named(directories, terminated, make);
    return fd < 0 ? fd : keep(directories, name, size, fd);
}

int pyrt_directories_enter(struct pyrt_directories *directories, int parent, const char *base, const char *name,
                           size_t size) {
    int fd = openat(parent, base, DIRECTORY | O_NOFOLLOW);

    return fd < 0 ? -errno : keep(directories, name, size, fd);
}
