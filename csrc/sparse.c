#include "sparse.h"

#include <stdlib.h>

#include "bounds.h"

void pyrt_sparse_clear(struct pyrt_sparse *map) {
    map->count = 0;
    map->real_size = 0;
    map->number = 0;
    map->expected = 0;
    map->seen = 0;
    map->digits = false;
}

void pyrt_sparse_free(struct pyrt_sparse *map) {
    free(map->regions);
    *map = (struct pyrt_sparse){0};
}

static bool grow(struct pyrt_sparse *map) {
    size_t room = map->room ? 2 * map->room : 64;
    struct pyrt_region *grown;

    if (map->count < map->room)
        return true;
    grown = realloc(map->regions, room * sizeof *grown);
    if (grown == NULL)
        return false;
    map->regions = grown;
    map->room = room;
    return true;
}

bool pyrt_sparse_add(struct pyrt_sparse *map, uint64_t offset, uint64_t size) {
    if (map->count == PYRT_MAX_SPARSE_REGIONS || !grow(map))
        return false;
    map->regions[map->count++] = (struct pyrt_region){.offset = offset, .size = size};
    return true;
}

bool pyrt_sparse_number(struct pyrt_sparse *map, bool is_size, uint64_t number) {
    /* `digits` remembers here that an offset waits for its size. */
    if (is_size != map->digits)
        return false;
    map->digits = !is_size;
    if (!is_size)
        return pyrt_sparse_add(map, number, 0);
    map->regions[map->count - 1].size = number;
    return true;
}

bool pyrt_sparse_check(const struct pyrt_sparse *map, uint64_t stored) {
    uint64_t end = 0, sum = 0;

    for (size_t i = 0; i < map->count; i++) {
        struct pyrt_region region = map->regions[i];

        if (region.offset < end || region.offset > map->real_size || region.size > map->real_size - region.offset)
            return false;
        end = region.offset + region.size;
        sum += region.size;
    }
    return sum == stored;
}

static bool take_number(struct pyrt_sparse *map) {
    uint64_t number = map->number;

    map->number = 0;
    map->digits = false;
    if (map->seen++ == 0) {
        map->expected = 1 + 2 * number;
        return number <= PYRT_MAX_SPARSE_REGIONS;
    }
    if (map->seen % 2 == 0)
        return pyrt_sparse_add(map, number, 0);
    map->regions[map->count - 1].size = number;
    return true;
}

static bool take_digit(struct pyrt_sparse *map, uint8_t byte) {
    if (byte < '0' || byte > '9' || map->number > (uint64_t)(INT64_MAX - 9) / 10)
        return false;
    map->number = 10 * map->number + (uint64_t)(byte - '0');
    map->digits = true;
    return true;
}

enum pyrt_sparse_text pyrt_sparse_read(struct pyrt_sparse *map, const uint8_t *text, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (text[i] != '\n' ? !take_digit(map, text[i]) : !map->digits || !take_number(map))
            return PYRT_SPARSE_BAD;
        if (map->seen > 0 && map->seen == map->expected)
            return PYRT_SPARSE_DONE;
    }
    return PYRT_SPARSE_MORE;
}
