/* Unpacking one layer: tar parser and writer put together, as Python uses them. */
#ifndef PYRT_LAYER_H
#define PYRT_LAYER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct pyrt_layer;

struct pyrt_layer_options {
    uint64_t max_entries; /* and implied directories, xattrs, sparse regions; 0: the default of bounds.h */
    uint64_t max_bytes;   /* sum of apparent file sizes; 0: the default */
    bool chown;           /* set owners; false where the caller may not */
    bool umask_is_zero;   /* the calling threads have made their umask private and zero */
    bool user_xattr;      /* user.overlay.opaque instead of trusted.overlay.opaque */
    bool trusted_xattr;   /* and not instead of it: both */
    bool no_devices;      /* an empty file in the place of each device */
    bool by_walk;         /* never call openat2, as on a kernel without it */
};

struct pyrt_layer_stats {
    uint64_t entries;
    uint64_t bytes; /* sum of apparent file sizes */
};

/* The root is borrowed until the layer is freed. NULL with the error filled. */
struct pyrt_layer *pyrt_layer_new(int root, const struct pyrt_layer_options *options, struct pyrt_error *error);
/* 0, or -1 with the error filled; after an error every call gives the same error. */
int pyrt_layer_feed(struct pyrt_layer *layer, const void *bytes, size_t size, struct pyrt_error *error);
/* The archive must be complete; sets what has to be set at the end. */
int pyrt_layer_finish(struct pyrt_layer *layer, struct pyrt_layer_stats *stats, struct pyrt_error *error);
void pyrt_layer_free(struct pyrt_layer *layer);

/* Gives the calling thread a umask of its own, and makes it 0. Returns 0 or an errno. Never in a process's first
   thread: its umask is the one that the others see. */
int pyrt_private_umask(void);

#endif
