/* A growable buffer. What may grow it without bound is checked by the caller against bounds.h. */
#ifndef PYRT_BYTES_H
#define PYRT_BYTES_H
#include <stddef.h>
#include <stdint.h>

struct pyrt_bytes {
    uint8_t *at;
    size_t size;
    size_t room;
};

/* 0, or -ENOMEM with the buffer as it was. */
int pyrt_bytes_add(struct pyrt_bytes *bytes, const void *more, size_t size);
void pyrt_bytes_free(struct pyrt_bytes *bytes);

#endif
