/* Which names of a tree are one file: what a digest has to know of each inode with several names. */
#ifndef PYRT_TREE_LINKS_H
#define PYRT_TREE_LINKS_H
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct pyrt_link {
    uint64_t device;
    uint64_t inode;
    uint64_t content; /* hash of what all of the names share */
    uint64_t paths;   /* sum of the hashes of the names */
    uint64_t count;   /* of names; 0 in a slot that is free */
};

/* Open addressing, a power of two of slots. Starts as zeros. */
struct pyrt_links {
    struct pyrt_link *slots;
    size_t room;
    size_t used;
};

/* The slot of an inode, new with count 0; it is the caller's to count. NULL for want of memory. Good until the next
   call. */
struct pyrt_link *pyrt_links_find(struct pyrt_links *links, dev_t device, ino_t inode);
void pyrt_links_free(struct pyrt_links *links);

#endif
