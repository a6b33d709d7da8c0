#include "listing.h"

#include <stdlib.h>

#include "tar.h"

struct pyrt_listing {
    struct pyrt_tar tar;
    struct pyrt_listed *found; /* of the call at hand */
    bool is_found;
};

static int kind_of(enum pyrt_kind kind) {
    switch (kind) {
    case PYRT_REGULAR:
        return PYRT_LISTED_FILE;
    case PYRT_DIRECTORY:
        return PYRT_LISTED_DIRECTORY;
    case PYRT_SYMLINK:
        return PYRT_LISTED_SYMLINK;
    case PYRT_HARDLINK:
        return PYRT_LISTED_HARDLINK;
    default:
        return PYRT_LISTED_OTHER;
    }
}

static int list_entry(void *self, const struct pyrt_entry *entry, struct pyrt_error *error) {
    struct pyrt_listing *listing = self;

    (void)error;
    *listing->found = (struct pyrt_listed){
        .kind = kind_of(entry->kind),
        .name = entry->name,
        .name_size = entry->name_size,
        .link = entry->link,
        .link_size = entry->link_size,
        .size = listing->tar.left,
        .sparse = listing->tar.sparse,
    };
    listing->is_found = true;
    return 0;
}

static int pass_data(void *self, const uint8_t *bytes, size_t size, uint64_t offset, struct pyrt_error *error) {
    (void)self, (void)bytes, (void)size, (void)offset, (void)error;
    return 0;
}

static int pass_end(void *self, struct pyrt_error *error) {
    (void)self, (void)error;
    return 0;
}

struct pyrt_listing *pyrt_listing_new(void) {
    struct pyrt_listing *listing = calloc(1, sizeof *listing);

    if (listing != NULL)
        pyrt_tar_init(&listing->tar, (struct pyrt_sink){
                                         .self = listing, .entry = list_entry, .data = pass_data, .end = pass_end});
    return listing;
}

int pyrt_listing_feed(struct pyrt_listing *listing, const void *bytes, size_t size, size_t *used,
                      struct pyrt_listed *listed, struct pyrt_error *error) {
    const uint8_t *at = bytes;

    *used = 0;
    listing->found = listed;
    listing->is_found = false;
    while (*used < size && !listing->is_found && listing->tar.state != PYRT_TAR_AFTER_END) {
        size_t taken;

        if (pyrt_tar_step(&listing->tar, at + *used, size - *used, &taken, error) < 0)
            return -1;
        *used += taken;
    }
    return listing->is_found ? 1 : listing->tar.state == PYRT_TAR_AFTER_END ? 2 : 0;
}

uint64_t pyrt_listing_skip(struct pyrt_listing *listing) {
    return pyrt_tar_jump(&listing->tar);
}

int pyrt_listing_finish(struct pyrt_listing *listing, struct pyrt_error *error) {
    return pyrt_tar_finish(&listing->tar, error);
}

void pyrt_listing_free(struct pyrt_listing *listing) {
    if (listing == NULL)
        return;
    pyrt_tar_free(&listing->tar);
    free(listing);
}
