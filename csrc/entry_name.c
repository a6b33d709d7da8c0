#define _GNU_SOURCE
#include "entry_name.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static const char AUFS_PREFIX[] = PYRT_WHITEOUT_PREFIX PYRT_WHITEOUT_PREFIX;
static const char OPAQUE[] = ".wh..wh..opq";

static bool is(const char *component, size_t size, const char *text) {
    return size == strlen(text) && memcmp(component, text, size) == 0;
}

static bool starts(const char *component, size_t size, const char *text) {
    return size >= strlen(text) && memcmp(component, text, strlen(text)) == 0;
}

static void add(struct pyrt_name *name, const char *component, size_t size) {
    name->parent = name->size;
    if (name->size > 0)
        name->text[name->size++] = '/';
    name->base = name->size;
    memcpy(name->text + name->size, component, size);
    name->size += size;
}

int pyrt_name_set(struct pyrt_name *name, const char *text, size_t size) {
    name->size = name->parent = name->base = 0;
    if (size > PYRT_MAX_NAME)
        return -ENAMETOOLONG;
    for (size_t i = 0; i < size;) {
        const char *slash = memchr(text + i, '/', size - i);
        size_t end = slash ? (size_t)(slash - text) : size;

        if (is(text + i, end - i, ".."))
            return -EINVAL;
        if (end > i && !is(text + i, end - i, "."))
            add(name, text + i, end - i);
        i = end + 1;
    }
    name->text[name->size] = 0;
    return 0;
}

static enum pyrt_whiteout last_component(const char *text, size_t size) {
    const char *hidden = text + PYRT_WHITEOUT_SIZE;
    size_t hidden_size = size - PYRT_WHITEOUT_SIZE;

    if (is(text, size, OPAQUE))
        return PYRT_OPAQUE;
    if (starts(text, size, AUFS_PREFIX))
        return PYRT_AUFS;
    if (hidden_size == 0 || is(hidden, hidden_size, ".") || is(hidden, hidden_size, ".."))
        return PYRT_BAD_WHITEOUT;
    return PYRT_HIDES;
}

enum pyrt_whiteout pyrt_whiteout_of(const struct pyrt_name *name) {
    for (size_t i = 0; i < name->size;) {
        const char *text = name->text + i;
        size_t size = (size_t)(strchrnul(text, '/') - text);

        if (starts(text, size, PYRT_WHITEOUT_PREFIX)) {
            if (i == name->base)
                return last_component(text, size);
            return starts(text, size, AUFS_PREFIX) ? PYRT_AUFS : PYRT_BAD_WHITEOUT;
        }
        i += size + 1;
    }
    return PYRT_NO_WHITEOUT;
}
