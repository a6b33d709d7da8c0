/* The walk behind resolve.h, and with a hook for those who want missing directories made on the way. */
#ifndef PYRT_PATH_WALK_H
#define PYRT_PATH_WALK_H

/* Called where a directory is needed and `name` in `parent` is missing (err ENOENT) or no directory (err ENOTDIR).
   Returns 0 when there is one now, else a negative errno, which ends the walk. */
struct pyrt_maker {
    int (*make)(void *self, int parent, const char *name, int err);
    void *self;
};

/* A new fd, or a negative errno. `maker` may be NULL. */
int pyrt_path_walk(int root, const char *path, int flags, const struct pyrt_maker *maker);

#endif
