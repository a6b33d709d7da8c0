/* Sparse maps: the text of pax 1.0, the blocks of old GNU, and what the check lets through. */
#include <stdlib.h>

#include "bounds.h"
#include "header.h"
#include "sparse.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void check(const struct pyrt_sparse *map) {
    uint64_t sum = 0, end = 0;

    if (map->count > PYRT_MAX_SPARSE_REGIONS)
        abort();
    for (size_t i = 0; i < map->count; i++)
        sum += map->regions[i].size;
    if (!pyrt_sparse_check(map, sum))
        return;
    for (size_t i = 0; i < map->count; i++) {
        if (map->regions[i].offset < end)
            abort();
        end = map->regions[i].offset + map->regions[i].size;
    }
    if (end > map->real_size)
        abort();
}

static void read_text(struct pyrt_sparse *map, const uint8_t *bytes, size_t size) {
    map->real_size = INT64_MAX;
    while (size > 0) {
        size_t piece = size < 512 ? size : 512;
        if (pyrt_sparse_read(map, bytes, piece) != PYRT_SPARSE_MORE)
            break;
        bytes += piece;
        size -= piece;
    }
    check(map);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct pyrt_sparse map = {0};
    bool more;

    read_text(&map, bytes, size);
    pyrt_sparse_clear(&map);
    for (size_t at = 0; at + PYRT_BLOCK_SIZE <= size; at += PYRT_BLOCK_SIZE) {
        if (!(at == 0 ? pyrt_header_sparse : pyrt_extension_sparse)(bytes + at, &map, &more))
            break;
        check(&map);
    }
    pyrt_sparse_free(&map);
    return 0;
}
