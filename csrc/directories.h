/* The directories of a layer that is being written: a bounded number of them open, found by name. */
#ifndef PYRT_DIRECTORIES_H
#define PYRT_DIRECTORIES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bounds.h"
#include "metadata.h"

struct pyrt_open_directory {
    char *name; /* canonical, see entry_name.h */
    size_t size;
    uint32_t hash;
    uint32_t used; /* when, in calls */
    int fd;
};

/* What a layer may still cost beyond its bytes: shared by the writer and the directories that it makes on its way. */
struct pyrt_allowance {
    uint64_t things; /* entries, directories that no entry names, xattrs, regions of sparse files */
    uint64_t detour; /* see path_walk.h */
};

struct pyrt_directories {
    int root; /* borrowed */
    bool by_walk;
    const struct pyrt_policy *policy;
    struct pyrt_allowance *allowance;
    uint32_t clock;
    size_t count;
    size_t latest;
    struct pyrt_open_directory open[PYRT_MAX_OPEN_DIRECTORIES];
};

void pyrt_directories_init(struct pyrt_directories *directories, int root, const struct pyrt_policy *policy,
                           struct pyrt_allowance *allowance, bool by_walk);
/* An fd that is good for openat and the f* calls until the directory is pushed out, which the next call does not do;
   or a negative errno, -EFBIG where it is more than the allowance. With `make`, missing directories are made, also what a dangling link points to. */
int pyrt_directories_find(struct pyrt_directories *directories, const char *name, size_t size, bool make);
/* Says that `name` in the directory `parent` is a directory that has just been made. Gives its fd. */
int pyrt_directories_enter(struct pyrt_directories *directories, int parent, const char *base, const char *name,
                           size_t size);
/* Opens `name`, which may have ".." in it, without keeping it. Owned by the caller. */
int pyrt_directories_resolve(const struct pyrt_directories *directories, const char *name);
/* A directory or a link has been replaced: what a name means may have changed. */
void pyrt_directories_forget(struct pyrt_directories *directories);

/* Overlay's mark that nothing of the layers below shows through. 0 or -1 with errno. */
int pyrt_make_opaque(const struct pyrt_policy *policy, int directory);
/* A whiteout as overlay has it: a character device 0:0. */
bool pyrt_is_whiteout(int parent, const char *name);

#endif
