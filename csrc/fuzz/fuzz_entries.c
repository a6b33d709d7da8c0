#define _GNU_SOURCE
/* Archives made of the bytes, two layers one after the other: into one root (the worst that a root can be) or into a
   second one (what the store does). No canary changes, openat2 and the walk make the same trees,
   and each of them has a digest. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive.h"
#include "layer.h"
#include "place.h"
#include "tree.h"
#include "tree_digest.h"

enum { SAME_ROOT = 1, UMASK = 2, USER_XATTR = 4, NO_CHOWN = 8, SMALL = 16, ONE_PIECE = 32 };

struct outcome {
    uint64_t tree;
    int32_t step, err, index;
    bool too_long; /* for the walk, which has less room for links in links than the kernel */
};

static void must(int promise) {
    if (!promise)
        abort();
}

static struct fuzz_archive first, second;

/* Every tree that a layer can make has a digest, and the same one when it is looked at again. */
static void check_digest(int root) {
    struct pyrt_tree_digest one, other;
    struct pyrt_error error = {0};

    if (pyrt_tree_digest(root, &one, &error) < 0 || pyrt_tree_digest(root, &other, &error) < 0) {
        fprintf(stderr, "digest: %s: %s\n", strerror(error.err), error.subject);
        abort();
    }
    must(memcmp(&one, &other, sizeof one) == 0);
}

static struct outcome unpack(int root, const struct fuzz_archive *archive, uint8_t flags, bool by_walk) {
    struct pyrt_layer_options options = {.max_entries = flags & SMALL ? 10 : 1000,
                                         .max_bytes = flags & SMALL ? 4000 : 1 << 24,
                                         .chown = !(flags & NO_CHOWN),
                                         .umask_is_zero = !(flags & UMASK),
                                         .user_xattr = flags & USER_XATTR,
                                         .by_walk = by_walk};
    struct pyrt_layer_stats stats;
    struct pyrt_error error = {0};
    struct pyrt_layer *layer = pyrt_layer_new(root, &options, &error);
    size_t half = flags & ONE_PIECE ? archive->size : archive->size / 3;
    int failed;

    must(layer != NULL);
    failed = pyrt_layer_feed(layer, archive->bytes, half, &error) < 0 ||
             pyrt_layer_feed(layer, archive->bytes + half, archive->size - half, &error) < 0 ||
             pyrt_layer_finish(layer, &stats, &error) < 0;
    pyrt_layer_free(layer);
    must(failed == (error.step != 0));
    check_digest(root);
    return (struct outcome){.tree = fuzz_tree(root),
                            .step = error.step,
                            .err = error.err,
                            .index = error.index,
                            .too_long = error.err == ENAMETOOLONG};
}

/* Both layers. The outcome of the second, with the tree of the first in it. */
static struct outcome unpack_both(uint8_t flags, bool by_walk) {
    int root = fuzz_root("root"), upper = fuzz_root("upper");
    struct outcome lower, outcome;

    fuzz_watch();
    lower = unpack(root, &first, flags, by_walk);
    outcome = unpack(flags & SAME_ROOT ? root : upper, &second, flags, !by_walk);
    outcome.tree = outcome.tree * 31 + lower.tree;
    outcome.step = outcome.step * 1000 + lower.step;
    outcome.too_long |= lower.too_long;
    close(root);
    close(upper);
    fuzz_unchanged();
    fuzz_remove("root");
    fuzz_remove("upper");
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct fuzz_input input = {.at = bytes, .size = size < FUZZ_MAX_INPUT ? size : FUZZ_MAX_INPUT};
    const char *canary = fuzz_place();
    uint8_t flags = fuzz_byte(&input);
    int free_fd = fuzz_free_fd();
    struct outcome one, other;

    fuzz_entries(&input, canary, &first);
    fuzz_entries(&input, canary, &second);
    (void)umask(flags & UMASK ? 027 : 0);
    one = unpack_both(flags, false);
    other = unpack_both(flags, true);
    (void)umask(022);
    if (one.too_long || other.too_long)
        return 0;
    if (one.tree != other.tree || one.step != other.step || one.err != other.err || one.index != other.index) {
        fprintf(stderr, "openat2 first: tree %llx, step %d, errno %d, index %d; the walk: %llx, %d, %d, %d\n",
                (unsigned long long)one.tree, one.step, one.err, one.index, (unsigned long long)other.tree, other.step,
                other.err, other.index);
        abort();
    }
    must(free_fd == fuzz_free_fd());
    return 0;
}
