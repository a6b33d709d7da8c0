#include "xxh64.h"

#include <endian.h>
#include <string.h>

/* The five primes of the specification, section "XXH64 algorithm description". */
static const uint64_t PRIME_1 = 0x9E3779B185EBCA87u;
static const uint64_t PRIME_2 = 0xC2B2AE3D27D4EB4Fu;
static const uint64_t PRIME_3 = 0x165667B19E3779F9u;
static const uint64_t PRIME_4 = 0x85EBCA77C2B2AE63u;
static const uint64_t PRIME_5 = 0x27D4EB2F165667C5u;

#define STRIPE 32

static uint64_t rotate(uint64_t value, unsigned bits) {
    return value << bits | value >> (64 - bits);
}

static uint64_t read_64(const uint8_t *at) {
    uint64_t value;

    memcpy(&value, at, sizeof value);
    return le64toh(value);
}

static uint32_t read_32(const uint8_t *at) {
    uint32_t value;

    memcpy(&value, at, sizeof value);
    return le32toh(value);
}

static uint64_t mix(uint64_t lane, uint64_t input) {
    return rotate(lane + input * PRIME_2, 31) * PRIME_1;
}

static uint64_t merge(uint64_t hash, uint64_t lane) {
    return (hash ^ mix(0, lane)) * PRIME_1 + PRIME_4;
}

/* Steps 1 to 3: whole stripes, four lanes each. Moves *at behind them. */
static uint64_t stripes(const uint8_t **at, const uint8_t *end, uint64_t seed) {
    uint64_t a = seed + PRIME_1 + PRIME_2, b = seed + PRIME_2, c = seed, d = seed - PRIME_1;
    const uint8_t *here = *at;
    uint64_t hash;

    for (; end - here >= STRIPE; here += STRIPE) {
        a = mix(a, read_64(here));
        b = mix(b, read_64(here + 8));
        c = mix(c, read_64(here + 16));
        d = mix(d, read_64(here + 24));
    }
    *at = here;
    hash = rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18);
    return merge(merge(merge(merge(hash, a), b), c), d);
}

/* Step 5: what does not fill a stripe. */
static uint64_t remainder_of(uint64_t hash, const uint8_t *at, const uint8_t *end) {
    for (; end - at >= 8; at += 8)
        hash = rotate(hash ^ mix(0, read_64(at)), 27) * PRIME_1 + PRIME_4;
    if (end - at >= 4) {
        hash = rotate(hash ^ read_32(at) * PRIME_1, 23) * PRIME_2 + PRIME_3;
        at += 4;
    }
    for (; at < end; at++)
        hash = rotate(hash ^ *at * PRIME_5, 11) * PRIME_1;
    return hash;
}

static uint64_t avalanche(uint64_t hash) {
    hash = (hash ^ hash >> 33) * PRIME_2;
    hash = (hash ^ hash >> 29) * PRIME_3;
    return hash ^ hash >> 32;
}

uint64_t pyrt_xxh64(const void *bytes, size_t size, uint64_t seed) {
    const uint8_t *at = bytes;
    uint64_t hash;

    if (size == 0)
        return avalanche(seed + PRIME_5);
    hash = size >= STRIPE ? stripes(&at, at + size, seed) : seed + PRIME_5;
    return avalanche(remainder_of(hash + size, at, (const uint8_t *)bytes + size));
}
