/* Where the stored bytes of a sparse file belong: GNU tar's manual, "Storing Sparse Files", all four forms end here. */
#ifndef PYRT_SPARSE_H
#define PYRT_SPARSE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pyrt_region {
    uint64_t offset;
    uint64_t size;
};

struct pyrt_sparse {
    struct pyrt_region *regions;
    size_t count;
    size_t room;
    uint64_t real_size;
    /* reading the map from text (pax 1.0): */
    uint64_t number;  /* digits so far */
    uint64_t expected; /* numbers that the map will have, the count itself included; 0 until the count is known */
    uint64_t seen;
    bool digits;
};

void pyrt_sparse_clear(struct pyrt_sparse *map);
void pyrt_sparse_free(struct pyrt_sparse *map);
/* False where there are too many regions, or no memory for them. */
bool pyrt_sparse_add(struct pyrt_sparse *map, uint64_t offset, uint64_t size);
/* Numbers of pax 0.0 (one offset, then its size) and 0.1 come one by one. */
bool pyrt_sparse_number(struct pyrt_sparse *map, bool is_size, uint64_t number);
/* Regions rise, do not overlap, end within the file, and hold exactly `stored` bytes. */
bool pyrt_sparse_check(const struct pyrt_sparse *map, uint64_t stored);

enum pyrt_sparse_text { PYRT_SPARSE_MORE, PYRT_SPARSE_DONE, PYRT_SPARSE_BAD };
/* One more piece of the text map that stands before the data in pax 1.0; what follows its last line is padding. */
enum pyrt_sparse_text pyrt_sparse_read(struct pyrt_sparse *map, const uint8_t *text, size_t size);

#endif
