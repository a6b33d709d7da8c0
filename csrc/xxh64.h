/* XXH64: a fast hash of 64 bits, by its public specification ("xxHash fast digest algorithm", version 0.1.1). It finds
   accidents, not adversaries. */
#ifndef PYRT_XXH64_H
#define PYRT_XXH64_H
#include <stddef.h>
#include <stdint.h>

uint64_t pyrt_xxh64(const void *bytes, size_t size, uint64_t seed);

#endif
