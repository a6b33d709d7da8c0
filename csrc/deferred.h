/* Attributes of directories, kept until everything below them is written.

   They belong to an inode, not to a name: when the time has come, the name is looked up in the root once more, and
   nothing is set unless the same inode is found there. A name that leads elsewhere by then leads nowhere. */
#ifndef PYRT_DEFERRED_H
#define PYRT_DEFERRED_H
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "entry.h"

struct pyrt_deferred {
    dev_t device;
    ino_t inode;
    int32_t index; /* of the entry */
    bool gone;
    size_t bytes; /* of memory, about */
    size_t depth;
    struct pyrt_attributes attributes; /* xattrs are owned */
    size_t size;
    char *name; /* canonical */
};

struct pyrt_deferred_list {
    size_t bytes; /* of memory, about, for all items */
    struct pyrt_deferred *items;
    size_t count;
    size_t room;
    size_t *slots; /* hash table by inode: index + 1, 0 where free; twice as large as `items` */
};

/* Keeps the attributes for the directory, of its xattrs those that wait (metadata.h); a later entry for the same inode
   wins. 0, -ENOMEM, or -EFBIG where it is too much. */
int pyrt_defer(struct pyrt_deferred_list *list, dev_t device, ino_t inode, const char *name, size_t size,
               const struct pyrt_entry *entry);
/* The directory has been removed. */
void pyrt_undefer(struct pyrt_deferred_list *list, dev_t device, ino_t inode);
/* Deepest first: a directory may lose the permission bits that its children are reached by. */
void pyrt_deferred_sort(struct pyrt_deferred_list *list);
void pyrt_deferred_free(struct pyrt_deferred_list *list);

#endif
