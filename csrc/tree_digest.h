/* The digest of an unpacked layer: two sums over all entries of a hash of everything that an entry is.

   An entry is its path, type, mode, owner, modification time, device number, link target, extended attributes, size and
   content; names that are one file count as such. A sum, because it does not depend on the order in which a file system
   lists names. Left out is what a tree does not have from its layer: times of access and change, inode numbers, the
   size of directories, and labels that the machine's own policy gives (security.* but capabilities).

   XXH64 and sums are enough for what this is for: bits that rot, writes that a power cut has lost, files that somebody
   has changed by mistake. Two independent sums of 64 bits miss one such tree in 2^64 (the content of one file goes
   through one hash of 64). Against somebody who means to deceive it is nothing: but he who can write into the store,
   0700, can write the record of the digest too, and what comes from a registry is held by sha256.

   Holes and zeros are the same, so a sparse file is read as far as it has data. One directory is open at a time, with no
   recursion; the way back is "..", checked. */
#ifndef PYRT_TREE_DIGEST_H
#define PYRT_TREE_DIGEST_H
#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct pyrt_tree_digest {
    uint64_t sums[2];
    uint64_t entries; /* the root included */
    uint64_t bytes;   /* sum of the sizes of regular files, each file once for each of its names */
};

/* Everything below root, an open directory that stays as it is. Opens no file but regular ones, and follows no link.
   What the caller may not read is part of the digest as that. 0, or -1 with errno and path in the error: EXDEV where
   something is mounted below root. */
int pyrt_tree_digest(int root, struct pyrt_tree_digest *digest, struct pyrt_error *error);

#endif
