/* One 512-byte tar header: v7, ustar (POSIX.1-1988), old GNU and star. Pure: bytes in, values out. */
#ifndef PYRT_HEADER_H
#define PYRT_HEADER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sparse.h"

#define PYRT_BLOCK_SIZE 512

struct pyrt_header {
    char name[257]; /* prefix, slash and name joined, terminated */
    char link[101];
    char type;
    uint32_t mode; /* with type bits where the writer put them there */
    uint32_t uid;
    uint32_t gid;
    uint64_t size;
    int64_t mtime;
    uint32_t major;
    uint32_t minor;
};

bool pyrt_block_is_zero(const uint8_t *block);
/* Fills the header. Returns 0 or the step (enum pyrt_layer_step) that failed. */
int pyrt_header_decode(const uint8_t *block, struct pyrt_header *header);

/* A numeric field: octal with blanks around it, or base-256 (GNU). An empty field is 0. False where it is no number or
   does not fit. */
bool pyrt_field_signed(const uint8_t *field, size_t size, int64_t *value);
/* The same, and also false where it is negative or more than `most`. */
bool pyrt_field(const uint8_t *field, size_t size, uint64_t most, uint64_t *value);

/* The sparse map of an old GNU header (type S), and of the blocks that follow it. `more` says whether another block
   follows. False where a number is wrong or there are too many. */
bool pyrt_header_sparse(const uint8_t *block, struct pyrt_sparse *map, bool *more);
bool pyrt_extension_sparse(const uint8_t *block, struct pyrt_sparse *map, bool *more);

#endif
