/* A tree as one number, to be compared: names, kinds, owners, modes, contents, links, xattrs, times. */
#ifndef PYRT_FUZZ_TREE_H
#define PYRT_FUZZ_TREE_H
#include <stdint.h>

/* Times of this century are those of the test and left out. Aborts where a layer must not have left what it finds:
   names of whiteouts, and overlay's xattrs other than its mark of opaque directories. */
uint64_t fuzz_tree(int root);

#endif
