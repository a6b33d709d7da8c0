#define _GNU_SOURCE
/* Parser and writer on a real directory, whatever the bytes are. No canary changes. */
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "layer.h"
#include "place.h"
#include "tree.h"

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
    int root = fuzz_root("root"), free_fd = fuzz_free_fd();

    fuzz_watch();
    unpack(root, bytes, size, size % 2);
    (void)fuzz_tree(root);
    if (free_fd != fuzz_free_fd())
        abort();
    close(root);
    fuzz_unchanged();
    fuzz_remove("root");
    return 0;
}
