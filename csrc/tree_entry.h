/* One entry of a tree that is digested: read what it is, add it to the sums. */
#ifndef PYRT_TREE_ENTRY_H
#define PYRT_TREE_ENTRY_H
#include <stdbool.h>
#include <sys/stat.h>

#include "bytes.h"
#include "tree_digest.h"
#include "tree_links.h"

/* What is read of a file at once; a block is hashed by itself, and one of zeros is a hole. */
#define PYRT_TREE_BLOCK ((size_t)1 << 17)

struct pyrt_tree {
    struct pyrt_tree_digest *digest;
    struct pyrt_links links;
    struct pyrt_bytes path;   /* of the directory at hand, with a slash at the end; of an entry while it is added */
    struct pyrt_bytes record; /* what is hashed of an entry */
    struct pyrt_bytes names;  /* of its xattrs */
    struct pyrt_bytes value;  /* of one of them */
    uint8_t *block;
};

/* Adds the open directory whose path is tree->path. 0 or a negative errno. */
int pyrt_tree_add_directory(struct pyrt_tree *tree, int directory, const struct stat *status, bool readable);
/* Adds the entry name, which is no directory, of the directory at hand; tree->path is its own path. is_regular is what
   the directory says of it. */
int pyrt_tree_add(struct pyrt_tree *tree, int parent, const char *name, bool is_regular);
/* After the last entry: which names are one file. */
void pyrt_tree_add_links(struct pyrt_tree *tree);

#endif
