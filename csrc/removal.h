/* Taking away what an entry replaces. */
#ifndef PYRT_REMOVAL_H
#define PYRT_REMOVAL_H
#include <sys/types.h>

/* Told of each directory before it is gone, by its identity. */
struct pyrt_removal {
    void (*gone)(void *self, dev_t device, ino_t inode);
    void *self;
};

/* Removes name in parent, with everything below where it is a directory; follows no link. 0 or a negative errno; ELOOP
   where a tree is deeper than PYRT_MAX_REMOVAL_DEPTH. */
int pyrt_remove(int parent, const char *name, const struct pyrt_removal *removal);

#endif
