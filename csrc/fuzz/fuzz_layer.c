#define _GNU_SOURCE
/* Parser and writer on a real directory. Beside the root stands a canary, which no archive may change. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layer.h"
#include "removal.h"

static void gone(void *self, dev_t device, ino_t inode) {
    (void)self, (void)device, (void)inode;
}

static struct {
    int fd;
    char path[4096];
} place = {.fd = -1};

static void clean_up(void) {
    struct pyrt_removal removal = {.gone = gone};

    (void)pyrt_remove(AT_FDCWD, place.path, &removal);
}

static int base(void) {
    const char *where = getenv("TMPDIR");

    if (place.fd >= 0)
        return place.fd;
    snprintf(place.path, sizeof place.path, "%s/pyrt-fuzz-XXXXXX", where ? where : "/tmp");
    if (mkdtemp(place.path) == NULL || (place.fd = open(place.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 ||
        mkdirat(place.fd, "canary", 0700) < 0 || atexit(clean_up) != 0)
        abort();
    return place.fd;
}

static struct stat canary(void) {
    struct stat status;

    if (fstatat(base(), "canary", &status, AT_SYMLINK_NOFOLLOW) < 0)
        abort();
    return status;
}

static void unpack(int root, const uint8_t *bytes, size_t size, int by_walk) {
    struct pyrt_layer_options options = {.max_entries = 1000, .max_bytes = 1 << 24, .chown = 1, .by_walk = by_walk};
    struct pyrt_layer_stats stats;
    struct pyrt_error error;
    struct pyrt_layer *layer = pyrt_layer_new(root, &options, &error);
    size_t half = size / 2;

    if (layer == NULL)
        abort();
    if (pyrt_layer_feed(layer, bytes, half, &error) == 0 &&
        pyrt_layer_feed(layer, bytes + half, size - half, &error) == 0)
        (void)pyrt_layer_finish(layer, &stats, &error);
    pyrt_layer_free(layer);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct pyrt_removal removal = {.gone = gone};
    struct stat before = canary(), after;
    int root;

    if (mkdirat(base(), "root", 0700) < 0 || (root = openat(base(), "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        abort();
    unpack(root, bytes, size, size % 2);
    close(root);
    if (pyrt_remove(base(), "root", &removal) < 0)
        abort();
    after = canary();
    if (memcmp(&before.st_ctim, &after.st_ctim, sizeof before.st_ctim) != 0 || before.st_mode != after.st_mode)
        abort();
    return 0;
}
