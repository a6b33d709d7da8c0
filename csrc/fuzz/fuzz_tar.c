/* The parser alone: what it says must keep its promises, and must not depend on how the bytes were cut. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "tar.h"

struct listener {
    uint64_t sum; /* of everything that was said */
    uint64_t end; /* of the last data */
    const struct pyrt_entry *entry;
};

static void must(bool promise) {
    if (!promise)
        abort();
}

static void mix(struct listener *listener, const void *bytes, size_t size) {
    const uint8_t *at = bytes;

    for (size_t i = 0; i < size; i++)
        listener->sum = (listener->sum ^ at[i]) * UINT64_C(1099511628211);
}

static int heard_entry(void *self, const struct pyrt_entry *entry, struct pyrt_error *error) {
    struct listener *listener = self;
    const struct pyrt_attributes *attributes = &entry->attributes;

    (void)error;
    must(listener->entry == NULL);
    must(strlen(entry->name) == entry->name_size && entry->name_size <= PYRT_MAX_NAME);
    must(strlen(entry->link) == entry->link_size && entry->link_size <= PYRT_MAX_NAME);
    must((attributes->mode & ~07777u) == 0 && attributes->uid <= PYRT_MAX_ID && attributes->gid <= PYRT_MAX_ID);
    must(entry->kind == PYRT_REGULAR || entry->size == 0);
    must(entry->size <= INT64_MAX && entry->major <= PYRT_MAX_MAJOR && entry->minor <= PYRT_MAX_MINOR);
    for (int i = 0; i < 2; i++) {
        must(attributes->times[i].tv_nsec >= 0 && attributes->times[i].tv_nsec < 1000000000);
        must(attributes->times[i].tv_sec >= PYRT_MIN_TIME && attributes->times[i].tv_sec <= PYRT_MAX_TIME);
    }
    for (size_t i = 0; i < attributes->xattr_count; i++) {
        const struct pyrt_xattr *xattr = &attributes->xattrs[i];
        must(xattr->size <= PYRT_MAX_XATTR_SIZE && xattr->name[0] != 0 && strlen(xattr->name) <= PYRT_MAX_XATTR_NAME);
        mix(listener, xattr->name, strlen(xattr->name));
        mix(listener, xattr->value, xattr->size);
    }
    mix(listener, entry->name, entry->name_size);
    mix(listener, entry->link, entry->link_size);
    mix(listener, &attributes->mode, sizeof attributes->mode);
    mix(listener, &entry->size, sizeof entry->size);
    listener->entry = entry;
    listener->end = 0;
    return 0;
}

static int heard_data(void *self, const uint8_t *bytes, size_t size, uint64_t offset, struct pyrt_error *error) {
    struct listener *listener = self;

    (void)error;
    must(listener->entry != NULL && listener->entry->kind == PYRT_REGULAR && size > 0);
    must(offset >= listener->end && offset <= listener->entry->size && size <= listener->entry->size - offset);
    if (offset != listener->end)
        mix(listener, &offset, sizeof offset);
    mix(listener, bytes, size);
    listener->end = offset + size;
    return 0;
}

static int heard_end(void *self, struct pyrt_error *error) {
    struct listener *listener = self;

    (void)error;
    must(listener->entry != NULL);
    listener->entry = NULL;
    return 0;
}

/* Cut into pieces whose sizes go up to `piece`. */
static uint64_t listen(const uint8_t *bytes, size_t size, size_t piece) {
    struct listener listener = {0};
    struct pyrt_sink sink = {.self = &listener, .entry = heard_entry, .data = heard_data, .end = heard_end};
    struct pyrt_error error = {0};
    struct pyrt_tar tar;
    int failed = 0;

    pyrt_tar_init(&tar, sink);
    for (size_t at = 0, next = 1; at < size && !failed; next = next % piece + 1) {
        size_t now = next < size - at ? next : size - at;
        uint8_t *alone = malloc(now); /* so that a look beyond the piece is seen */
        memcpy(alone, bytes + at, now);
        failed = pyrt_tar_feed(&tar, alone, now, &error);
        free(alone);
        at += now;
    }
    failed = failed ? failed : pyrt_tar_finish(&tar, &error);
    must(failed == 0 || (error.step != 0 && error.err != 0));
    if (failed == 0)
        mix(&listener, "complete", 8);
    else
        mix(&listener, &error.step, sizeof error.step);
    pyrt_tar_free(&tar);
    return listener.sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    uint64_t first = listen(bytes, size, 613);

    must(first == listen(bytes, size, size + 1));
    must(size > 4096 || first == listen(bytes, size, 7));
    return 0;
}
