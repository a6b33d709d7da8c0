#include "header.h"

#include <string.h>

#include "layer_step.h"
#include "bounds.h"

/* Offsets and sizes of the fields, from POSIX.1-2017 (pax, "ustar Interchange Format") and GNU tar's manual
   ("Basic Tar Format"). */
enum {
    NAME = 0, NAME_SIZE = 100, MODE = 100, UID = 108, GID = 116, ID_SIZE = 8, SIZE = 124, MTIME = 136, LONG_SIZE = 12,
    CHECKSUM = 148, CHECKSUM_SIZE = 8, TYPE = 156, LINK = 157, MAGIC = 257, MAJOR = 329, MINOR = 337, PREFIX = 345,
    PREFIX_SIZE = 155, STAR_PREFIX_SIZE = 131, STAR_TRAILER = 508,
    GNU_MAP = 386, GNU_MAP_COUNT = 4, GNU_MORE = 482, GNU_REAL_SIZE = 483,
    EXTENSION_MAP_COUNT = 21, EXTENSION_MORE = 504
};

bool pyrt_block_is_zero(const uint8_t *block) {
    return block[0] == 0 && memcmp(block, block + 1, PYRT_BLOCK_SIZE - 1) == 0;
}

/* Big-endian two's complement; the top bit of the first byte marks the encoding and the next one is the sign. */
static bool base256(const uint8_t *field, size_t size, int64_t *value) {
    bool negative = (field[0] & 0x40) != 0;
    uint8_t fill = negative ? 0xff : 0;
    uint64_t bits = 0;

    if (size > sizeof bits && field[0] != (negative ? 0xff : 0x80))
        return false;
    for (size_t i = 1; i + sizeof bits < size; i++)
        if (field[i] != fill)
            return false;
    if (size <= sizeof bits)
        bits = negative ? ~UINT64_C(0) << 6 | (field[0] & 0x3f) : (uint64_t)(field[0] & 0x3f);
    for (size_t i = size > sizeof bits ? size - sizeof bits : 1; i < size; i++)
        bits = bits << 8 | field[i];
    if (size > sizeof bits && (bits >> 63 != 0) != negative)
        return false;
    *value = (int64_t)bits;
    return true;
}

bool pyrt_field_signed(const uint8_t *field, size_t size, int64_t *value) {
    uint64_t octal = 0;
    size_t i = 0;

    if (field[0] & 0x80)
        return base256(field, size, value);
    while (i < size && field[i] == ' ')
        i++;
    for (; i < size && field[i] >= '0' && field[i] <= '7'; i++) {
        if (octal >> 60 != 0)
            return false;
        octal = octal << 3 | (uint64_t)(field[i] - '0');
    }
    /* What follows the terminator is not looked at: old writers leave rubbish there. */
    if (i < size && field[i] != ' ' && field[i] != 0)
        return false;
    *value = (int64_t)octal;
    return true;
}

bool pyrt_field(const uint8_t *field, size_t size, uint64_t most, uint64_t *value) {
    int64_t number;

    if (!pyrt_field_signed(field, size, &number) || number < 0 || (uint64_t)number > most)
        return false;
    *value = (uint64_t)number;
    return true;
}

static bool field32(const uint8_t *field, size_t size, uint32_t most, uint32_t *value) {
    uint64_t number;

    if (!pyrt_field(field, size, most, &number))
        return false;
    *value = (uint32_t)number;
    return true;
}

/* The sum counts the checksum field as blanks. Some old writers added signed characters. */
static bool checksum_fits(const uint8_t *block) {
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    (void)block;
    return true;
#else
    int64_t wanted, of_unsigned = 0, of_signed = 0;

    if (!pyrt_field_signed(block + CHECKSUM, CHECKSUM_SIZE, &wanted))
        return false;
    for (int i = 0; i < PYRT_BLOCK_SIZE; i++) {
        uint8_t byte = i >= CHECKSUM && i < CHECKSUM + CHECKSUM_SIZE ? (uint8_t)' ' : block[i];
        of_unsigned += byte;
        of_signed += (int8_t)byte;
    }
    return wanted == of_unsigned || wanted == of_signed;
#endif
}

/* Only POSIX ustar has a prefix; old GNU keeps times and the sparse map in those bytes, star two times at their end. */
static size_t prefix_size(const uint8_t *block) {
    if (memcmp(block + MAGIC, "ustar\0", 6) != 0)
        return 0;
    if (memcmp(block + STAR_TRAILER, "tar", 4) == 0)
        return strnlen((const char *)block + PREFIX, STAR_PREFIX_SIZE);
    return strnlen((const char *)block + PREFIX, PREFIX_SIZE);
}

static void copy_names(const uint8_t *block, struct pyrt_header *header) {
    size_t before = prefix_size(block);
    size_t size = strnlen((const char *)block + NAME, NAME_SIZE);

    memcpy(header->name, block + PREFIX, before);
    if (before > 0)
        header->name[before++] = '/';
    memcpy(header->name + before, block + NAME, size);
    header->name[before + size] = 0;

    size = strnlen((const char *)block + LINK, NAME_SIZE);
    memcpy(header->link, block + LINK, size);
    header->link[size] = 0;
}

/* v7 headers have no device fields; whatever stands there belongs to nobody. */
static bool devices(const uint8_t *block, struct pyrt_header *header) {
    if (header->type != '3' && header->type != '4')
        return true;
    if (memcmp(block + MAGIC, "ustar", 5) != 0)
        return false;
    return field32(block + MAJOR, ID_SIZE, PYRT_MAX_MAJOR, &header->major) &&
           field32(block + MINOR, ID_SIZE, PYRT_MAX_MINOR, &header->minor);
}

int pyrt_header_decode(const uint8_t *block, struct pyrt_header *header) {
    header->type = (char)block[TYPE];
    header->major = header->minor = 0;
    header->name[0] = 0;
    if (!checksum_fits(block))
        return PYRT_TAR_CHECKSUM;
    copy_names(block, header);
    if (!field32(block + MODE, ID_SIZE, INT32_MAX, &header->mode) ||
        !field32(block + UID, ID_SIZE, PYRT_MAX_ID, &header->uid) ||
        !field32(block + GID, ID_SIZE, PYRT_MAX_ID, &header->gid) ||
        !pyrt_field(block + SIZE, LONG_SIZE, INT64_MAX, &header->size) ||
        !pyrt_field_signed(block + MTIME, LONG_SIZE, &header->mtime) || !devices(block, header))
        return PYRT_TAR_NUMBER;
    return 0;
}

static bool regions(const uint8_t *at, int count, struct pyrt_sparse *map) {
    for (int i = 0; i < count && at[LONG_SIZE] != 0; i++, at += (ptrdiff_t)2 * LONG_SIZE) {
        uint64_t offset, size;

        if (!pyrt_field(at, LONG_SIZE, INT64_MAX, &offset) ||
            !pyrt_field(at + LONG_SIZE, LONG_SIZE, INT64_MAX, &size) || !pyrt_sparse_add(map, offset, size))
            return false;
    }
    return true;
}

bool pyrt_header_sparse(const uint8_t *block, struct pyrt_sparse *map, bool *more) {
    *more = block[GNU_MORE] != 0;
    return pyrt_field(block + GNU_REAL_SIZE, LONG_SIZE, INT64_MAX, &map->real_size) &&
           regions(block + GNU_MAP, GNU_MAP_COUNT, map);
}

bool pyrt_extension_sparse(const uint8_t *block, struct pyrt_sparse *map, bool *more) {
    *more = block[EXTENSION_MORE] != 0;
    return regions(block, EXTENSION_MAP_COUNT, map);
}
