#define _GNU_SOURCE
#include "place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "removal.h"

#define DIRECTORY (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* In the order of their making. Directories have no content; a hard link has the name of its other one. */
static const struct item {
    const char *name;
    mode_t mode; /* with the type; 0: a hard link */
    const char *content;
} items[] = {
    {"a", S_IFDIR | 0755, NULL},        {"a/f", S_IFREG | 0644, "canary"},  {"a/a", S_IFDIR | 0700, NULL},
    {"a/a/f", S_IFREG | 0600, "deep"},  {"a/b", S_IFREG | 0400, ""},        {"a/l", S_IFLNK, "f"},
    {"b", S_IFREG | 04755, "setuid"},   {"f", S_IFREG | 0644, "hard"},      {"g", 0, "f"},
    {"l", S_IFLNK, "a"},                {"d", S_IFDIR | 01777, NULL},       {"d/f", 0, "a/f"},
    {"d/d", S_IFDIR | 0755, NULL},      {"fifo", S_IFIFO | 0666, NULL},     {"socket", S_IFSOCK | 0777, NULL},
    {"null", S_IFCHR | 0666, NULL},     {".wh.a", S_IFREG | 0644, "odd"},   {"etc", S_IFLNK, "/etc"},
};
#define COUNT (sizeof items / sizeof *items)

static struct {
    int fd;
    char path[4096];
    struct stat files[COUNT];
    struct stat place;
} here = {.fd = -1};

static void must(bool promise, const char *what) {
    if (promise)
        return;
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    abort();
}

static void gone(void *self, dev_t device, ino_t inode) {
    (void)self, (void)device, (void)inode;
}

static struct pyrt_removal removal = {.gone = gone};

static void write_file(const char *name, const char *content) {
    int fd = openat(here.fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    must(fd >= 0 && write(fd, content, strlen(content)) >= 0, name);
    /* Not every file system has them, and not every one has this one for everybody. */
    (void)fsetxattr(fd, "user.canary", "sings", 5, 0);
    (void)fsetxattr(fd, "trusted.canary", "sings", 5, 0);
    close(fd);
}

static void make(const struct item *item) {
    switch (item->mode & S_IFMT) {
    case 0:
        must(linkat(here.fd, item->content, here.fd, item->name, 0) == 0, item->name);
        return;
    case S_IFLNK:
        must(symlinkat(item->content, here.fd, item->name) == 0, item->name);
        return;
    case S_IFDIR:
        must(mkdirat(here.fd, item->name, 0700) == 0, item->name);
        break;
    case S_IFREG:
        write_file(item->name, item->content);
        break;
    default:
        /* Who may not make devices has the same canary with one FIFO more. */
        must(mknodat(here.fd, item->name, item->mode, makedev(1, 3)) == 0 ||
                 mknodat(here.fd, item->name, S_IFIFO | 0600, 0) == 0,
             item->name);
    }
    must(fchmodat(here.fd, item->name, item->mode & 07777, 0) == 0, item->name);
}

/* Everything goes to the top first: no depth is too deep then. */
static void flatten(const char *name, unsigned *count) {
    int fd = openat(here.fd, name, DIRECTORY);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);

    must(directory != NULL, name);
    for (struct dirent *item; (item = readdir(directory)) != NULL;) {
        char junk[32];

        if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0)
            continue;
        if (unlinkat(fd, item->d_name, 0) == 0)
            continue;
        snprintf(junk, sizeof junk, "junk%u", (*count)++);
        must(renameat(fd, item->d_name, here.fd, junk) == 0, item->d_name);
    }
    closedir(directory);
    must(unlinkat(here.fd, name, AT_REMOVEDIR) == 0 || errno == ENOTEMPTY, name);
}

static void remove_deep(const char *name) {
    unsigned count = 0;

    while (faccessat(here.fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        flatten(name, &count);
    for (unsigned i = 0; i < count; i++) {
        char junk[32];

        snprintf(junk, sizeof junk, "junk%u", i);
        while (faccessat(here.fd, junk, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
            flatten(junk, &count);
    }
}

static void clean_up(void) {
    (void)pyrt_remove(AT_FDCWD, here.path, &removal);
}

static struct stat look_at(const char *name) {
    struct stat status;

    must(fstatat(here.fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0, name);
    return status;
}

const char *fuzz_place(void) {
    const char *where = getenv("TMPDIR");

    if (here.fd >= 0)
        return here.path;
    (void)umask(022);
    snprintf(here.path, sizeof here.path, "%s/pyrt-fuzz-XXXXXX", where ? where : "/tmp");
    must(mkdtemp(here.path) != NULL, here.path);
    must((here.fd = open(here.path, DIRECTORY)) >= 0, here.path);
    for (size_t i = 0; i < COUNT; i++)
        make(&items[i]);
    for (size_t i = 0; i < COUNT; i++)
        here.files[i] = look_at(items[i].name);
    must(atexit(clean_up) == 0, "atexit");
    return here.path;
}

void fuzz_remove(const char *name) {
    int failed;

    (void)fuzz_place();
    failed = pyrt_remove(here.fd, name, &removal);
    errno = -failed;
    must(failed == 0 || failed == -ELOOP, name);
    if (failed == -ELOOP)
        remove_deep(name);
}

int fuzz_root(const char *name) {
    int fd;

    (void)fuzz_place();
    if (faccessat(here.fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        fuzz_remove(name);
    must(mkdirat(here.fd, name, 0700) == 0, name);
    must((fd = openat(here.fd, name, DIRECTORY)) >= 0, name);
    return fd;
}

static bool same_time(const struct timespec *one, const struct timespec *other) {
    return one->tv_sec == other->tv_sec && one->tv_nsec == other->tv_nsec;
}

static bool same(const struct stat *one, const struct stat *other) {
    return one->st_dev == other->st_dev && one->st_ino == other->st_ino && one->st_mode == other->st_mode &&
           one->st_nlink == other->st_nlink && one->st_uid == other->st_uid && one->st_gid == other->st_gid &&
           one->st_rdev == other->st_rdev && one->st_size == other->st_size &&
           same_time(&one->st_mtim, &other->st_mtim) && same_time(&one->st_ctim, &other->st_ctim);
}

static void check_files(void) {
    for (size_t i = 0; i < COUNT; i++) {
        struct stat now = look_at(items[i].name);

        errno = 0;
        must(same(&now, &here.files[i]), items[i].name);
    }
}

void fuzz_watch(void) {
    (void)fuzz_place();
    here.place = look_at(".");
}

void fuzz_unchanged(void) {
    struct stat now = look_at(".");

    errno = 0;
    must(same(&now, &here.place), "the directory above the root");
    check_files();
}

int fuzz_free_fd(void) {
    int fd = open("/", O_PATH | O_CLOEXEC);

    must(fd >= 0, "/");
    close(fd);
    return fd;
}
