#define _GNU_SOURCE
/* Paths in a root with links that the bytes choose: openat2 and the walk lead to the same file or the same error; what is
   made on the way is made in the root, and is where openat2 finds it. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive.h"
#include "path_walk.h"
#include "place.h"
#include "resolve.h"
#include "walk.h"

#define LOOK (O_PATH | O_CLOEXEC)

/* O_NONBLOCK: no FIFO shall hold us up. */
static const int flags[] = {
    O_PATH,
    O_PATH | O_NOFOLLOW,
    O_PATH | O_DIRECTORY,
    O_PATH | O_DIRECTORY | O_NOFOLLOW,
    O_RDONLY | O_NONBLOCK,
    O_RDONLY | O_NONBLOCK | O_NOFOLLOW,
    O_RDONLY | O_DIRECTORY,
    O_WRONLY | O_NONBLOCK,
};

struct place {
    dev_t device;
    ino_t inode;
    int err; /* where there is none */
};

static void must(int promise, const char *what) {
    if (promise)
        return;
    perror(what);
    abort();
}

/* Takes the fd over. */
static struct place place_of(int fd) {
    struct place place = {.err = fd < 0 ? errno : 0};
    struct stat status;

    if (fd < 0)
        return place;
    must(fcntl(fd, F_GETFD) == FD_CLOEXEC && fstat(fd, &status) == 0, "result");
    place.device = status.st_dev;
    place.inode = status.st_ino;
    close(fd);
    return place;
}

static int is(struct place one, struct place other) {
    return one.err == other.err && one.device == other.device && one.inode == other.inode;
}

static void make_file(int root, const char *name) {
    int fd = openat(root, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

    must(fd >= 0, name);
    close(fd);
}

/* "a/a", "d/d/...", files and a FIFO; then links, where there is no name taken yet. */
static void fill(int root, struct fuzz_input *input) {
    static const char *const places[] = {"l", "a/l", "a/a/l", "g", "b", "a/b", "d/d/l", "etc"};
    static char target[FUZZ_NAME_ROOM];
    uint8_t which = fuzz_byte(input);

    must(mkdirat(root, "a", 0755) == 0 && mkdirat(root, "a/a", 0755) == 0 && mkdirat(root, "d", 0755) == 0, "a, d");
    must(mkdirat(root, "d/d", 0755) == 0 && mkfifoat(root, "fifo", 0600) == 0, "d/d, fifo");
    make_file(root, "f");
    make_file(root, "a/f");
    make_file(root, "a/a/f");
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (!(which >> i & 1))
            continue;
        fuzz_name(input, fuzz_place(), target);
        (void)symlinkat(target, root, places[i]);
    }
}

/* A path of which no part can become longer than the walk's buffers; beyond them it says so, where openat2 does not. */
static void check_same(int root, const char *path, int how) {
    struct place one = place_of(pyrt_resolve(root, path, how));
    struct place other = place_of(pyrt_resolve_by_walk(root, path, how));

    if (is(one, other) || other.err == ENAMETOOLONG)
        return;
    fprintf(stderr, "flags %#x: openat2 %s, the walk %s: %s\n", (unsigned)how, strerror(one.err), strerror(other.err),
            path);
    abort();
}

static int make(void *self, int parent, const char *name, int err) {
    (void)self;
    return err == ENOENT && mkdirat(parent, name, 0755) == 0 ? 0 : -err;
}

static void check_made_by_walk(int root, const char *path) {
    struct pyrt_maker maker = {.make = make};
    int fd = pyrt_path_walk(root, path, LOOK | O_DIRECTORY, &maker);

    if (fd >= 0)
        must(is(place_of(fd), place_of(pyrt_resolve(root, path, LOOK | O_DIRECTORY))), path);
}

/* The launcher's paths are absolute and never empty. */
static void check_made_by_launcher(int root, const char *path, int file) {
    struct pyrt_walk walk = {.root = root, .null = -1, .console = -1, .terminal = -1, .own = {-1, -1, -1}};
    int fd = *path == 0 ? -1 : file ? pyrt_make_file(&walk, path) : pyrt_make_directories(&walk, path, 0755, 0, 0);

    if (fd >= 0)
        must(is(place_of(fd), place_of(pyrt_resolve(root, path, file ? LOOK : LOOK | O_DIRECTORY))), path);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static char path[FUZZ_NAME_ROOM];
    struct fuzz_input input = {.at = bytes, .size = size < FUZZ_MAX_INPUT ? size : FUZZ_MAX_INPUT};
    int root = fuzz_root("root"), free_fd = fuzz_free_fd();

    fill(root, &input);
    fuzz_watch();
    for (int rounds = 0; rounds < 8 && (rounds == 0 || input.size > 0); rounds++) {
        uint8_t what = fuzz_byte(&input);

        fuzz_name(&input, fuzz_place(), path);
        check_same(root, path, flags[what & 7]);
        switch (what >> 5) {
        case 1:
            check_made_by_walk(root, path);
            break;
        case 2:
            check_made_by_launcher(root, path, 0);
            break;
        case 3:
            check_made_by_launcher(root, path, 1);
            break;
        default:
            break;
        }
        must(free_fd == fuzz_free_fd(), "open files");
    }
    close(root);
    fuzz_unchanged();
    fuzz_remove("root");
    return 0;
}
