#define _GNU_SOURCE
#include "layer.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "extract.h"
#include "layer_step.h"
#include "tar.h"

struct pyrt_layer {
    struct pyrt_tar tar;
    struct pyrt_writer writer;
};

struct pyrt_layer *pyrt_layer_new(int root, const struct pyrt_layer_options *options, struct pyrt_error *error) {
    struct pyrt_layer *layer = calloc(1, sizeof *layer);

    if (layer == NULL) {
        pyrt_fail(error, PYRT_LAYER_MEMORY, ENOMEM, -1, "", 0);
        return NULL;
    }
    layer->writer.allowance = (struct pyrt_allowance){
        .things = options->max_entries ? options->max_entries : PYRT_DEFAULT_MAX_ENTRIES, .detour = PYRT_MAX_DETOUR};
    layer->writer.max_bytes = options->max_bytes ? options->max_bytes : PYRT_DEFAULT_MAX_BYTES;
    layer->writer.policy.chown = options->chown;
    layer->writer.policy.no_devices = options->no_devices;
    layer->writer.policy.umask_is_zero = options->umask_is_zero;
    layer->writer.policy.trusted_xattr = options->trusted_xattr || !options->user_xattr;
    layer->writer.policy.user_xattr = options->user_xattr;
    if (pyrt_writer_init(&layer->writer, root, options->by_walk, error) < 0) {
        free(layer);
        return NULL;
    }
    pyrt_tar_init(&layer->tar, pyrt_writer_sink(&layer->writer));
    return layer;
}

int pyrt_layer_feed(struct pyrt_layer *layer, const void *bytes, size_t size, struct pyrt_error *error) {
    return pyrt_tar_feed(&layer->tar, bytes, size, error);
}

int pyrt_layer_finish(struct pyrt_layer *layer, struct pyrt_layer_stats *stats, struct pyrt_error *error) {
    if (pyrt_tar_finish(&layer->tar, error) < 0 || pyrt_writer_finish(&layer->writer, error) < 0)
        return -1;
    *stats = (struct pyrt_layer_stats){.entries = layer->writer.entries, .bytes = layer->writer.bytes};
    return 0;
}

void pyrt_layer_free(struct pyrt_layer *layer) {
    if (layer == NULL)
        return;
    pyrt_tar_free(&layer->tar);
    pyrt_writer_free(&layer->writer);
    free(layer);
}

int pyrt_private_umask(void) {
    if (unshare(CLONE_FS) < 0)
        return errno;
    (void)umask(0);
    return 0;
}
