#define _GNU_SOURCE
#include "tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* As deep as file descriptors allow; what is deeper counts as one level. */
#define MAX_DEPTH 400
#define MAX_CONTENT (1 << 18)
#define THIS_CENTURY 1000000000

static void must(bool promise) {
    if (!promise)
        abort();
}

/* FNV-1a. */
static uint64_t mix(uint64_t sum, const void *bytes, size_t size) {
    const uint8_t *at = bytes;

    for (size_t i = 0; i < size; i++)
        sum = (sum ^ at[i]) * UINT64_C(1099511628211);
    return sum;
}

static uint64_t mix_number(uint64_t sum, uint64_t number) {
    return mix(sum, &number, sizeof number);
}

static bool starts(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Of any kind of file, by an O_PATH fd. Their sum, because the order means nothing. */
static uint64_t xattrs(int parent, const char *name) {
    char path[64 + NAME_MAX], names[4096], value[4096];
    uint64_t sum = 0;
    ssize_t size;

    snprintf(path, sizeof path, "/proc/self/fd/%d/%s", parent, name);
    size = llistxattr(path, names, sizeof names);
    for (char *at = names; size > 0 && at < names + size; at += strlen(at) + 1) {
        ssize_t got = lgetxattr(path, at, value, sizeof value);

        must(got >= 0);
        if (starts(at, "trusted.overlay.") || starts(at, "user.overlay."))
            must(strcmp(strrchr(at, '.'), ".opaque") == 0 && got == 1 && value[0] == 'y');
        sum += mix(mix(1, at, strlen(at)), value, (size_t)got);
    }
    return sum;
}

static uint64_t content(int parent, const char *name, mode_t mode) {
    char bytes[1 << 16];
    ssize_t size = 0, total = 0;
    uint64_t sum = 1;
    int fd;

    if (S_ISLNK(mode)) {
        size = readlinkat(parent, name, bytes, sizeof bytes);
        must(size >= 0);
        return mix(sum, bytes, (size_t)size);
    }
    if (!S_ISREG(mode))
        return 0;
    fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    for (; fd >= 0 && total < MAX_CONTENT && (size = read(fd, bytes, sizeof bytes)) > 0; total += size)
        sum = mix(sum, bytes, (size_t)size);
    if (fd >= 0)
        close(fd);
    return sum;
}

static uint64_t attributes(int parent, const char *name, const struct stat *status) {
    uint64_t sum = mix(1, name, strlen(name));

    sum = mix_number(sum, status->st_mode);
    sum = mix_number(sum, status->st_uid);
    sum = mix_number(sum, status->st_gid);
    sum = mix_number(sum, S_ISDIR(status->st_mode) ? 0 : (uint64_t)status->st_size);
    sum = mix_number(sum, status->st_nlink);
    sum = mix_number(sum, status->st_rdev);
    if (status->st_mtim.tv_sec < THIS_CENTURY)
        sum = mix_number(mix_number(sum, (uint64_t)status->st_mtim.tv_sec), (uint64_t)status->st_mtim.tv_nsec);
    sum = mix_number(sum, content(parent, name, status->st_mode));
    return mix_number(sum, xattrs(parent, name));
}

static uint64_t walk(int parent, const char *name, int depth) {
    struct stat status;
    uint64_t sum, children = 0;
    DIR *directory;
    int fd;

    must(fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) == 0);
    sum = attributes(parent, name, &status);
    if (!S_ISDIR(status.st_mode) || depth == MAX_DEPTH)
        return sum;
    fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    directory = fd < 0 ? NULL : fdopendir(fd);
    must(directory != NULL);
    for (struct dirent *item; (item = readdir(directory)) != NULL;) {
        if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0)
            continue;
        must(!starts(item->d_name, ".wh."));
        children += walk(fd, item->d_name, depth + 1);
    }
    closedir(directory);
    return mix_number(sum, children);
}

uint64_t fuzz_tree(int root) {
    return walk(root, ".", 0);
}
