/* The walk behind resolve.h, and with a hook for those who want missing directories made on the way. */
#ifndef PYRT_PATH_WALK_H
#define PYRT_PATH_WALK_H

#include <stdint.h>

/* `make` is called where a directory is needed and `name` in `parent` is missing (err ENOENT) or no directory (err
   ENOTDIR). It returns 0 when there is one now, else a negative errno, which ends the walk; NULL makes nothing.
   `detour` is how many names of link targets, and of the way back to the root for each "..", may still be walked by all
   walks that share it: -EFBIG when it is used up. NULL allows each walk PYRT_MAX_DETOUR. */
struct pyrt_maker {
    int (*make)(void *self, int parent, const char *name, int err);
    void *self;
    uint64_t *detour;
};

/* A new fd, or a negative errno. `maker` may be NULL. */
int pyrt_path_walk(int root, const char *path, int flags, const struct pyrt_maker *maker);

/* resolve.c: what pyrt_resolve does for a path without symbolic links. -1 with errno, ELOOP where there is a link, ENOSYS
   or EPERM where there is no openat2. */
int pyrt_resolve_linkless(int root, const char *path, int flags);

#endif
