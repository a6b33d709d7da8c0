#include "bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int make_room(struct pyrt_bytes *bytes, size_t more) {
    size_t room = bytes->room ? bytes->room : 512;
    uint8_t *grown;

    if (more > SIZE_MAX / 4 - bytes->size)
        return -ENOMEM;
    while (room < bytes->size + more)
        room *= 2;
    if (room == bytes->room)
        return 0;
    grown = realloc(bytes->at, room);
    if (grown == NULL)
        return -ENOMEM;
    bytes->at = grown;
    bytes->room = room;
    return 0;
}

int pyrt_bytes_add(struct pyrt_bytes *bytes, const void *more, size_t size) {
    if (make_room(bytes, size) < 0)
        return -ENOMEM;
    if (size > 0)
        memcpy(bytes->at + bytes->size, more, size);
    bytes->size += size;
    return 0;
}

void pyrt_bytes_free(struct pyrt_bytes *bytes) {
    free(bytes->at);
    *bytes = (struct pyrt_bytes){0};
}
