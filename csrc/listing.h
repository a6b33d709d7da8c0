/* What an archive holds and where, without unpacking it: the parser of layers, with the data jumped over. */
#ifndef PYRT_LISTING_H
#define PYRT_LISTING_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct pyrt_listing;

enum pyrt_listed_kind {
    PYRT_LISTED_FILE,
    PYRT_LISTED_DIRECTORY,
    PYRT_LISTED_SYMLINK,
    PYRT_LISTED_HARDLINK,
    PYRT_LISTED_OTHER
};

/* Texts are valid until the next call. `size` is what a file has in the archive, from the byte on that follows what was
   used; `sparse`: that is not its content. */
struct pyrt_listed {
    int kind;
    const char *name;
    size_t name_size;
    const char *link;
    size_t link_size;
    uint64_t size;
    bool sparse;
};

/* NULL where there is no memory. */
struct pyrt_listing *pyrt_listing_new(void);
/* Takes bytes up to and including the header of an entry: 1 with `listed` filled. 0 where more are wanted, 2 at the end
   of the archive, -1 with the error filled. */
int pyrt_listing_feed(struct pyrt_listing *listing, const void *bytes, size_t size, size_t *used,
                      struct pyrt_listed *listed, struct pyrt_error *error);
/* How many bytes from here on are no header; the next feed goes on behind them. */
uint64_t pyrt_listing_skip(struct pyrt_listing *listing);
/* No more bytes come: 0, or -1 with the error filled where that is in the middle of a header. */
int pyrt_listing_finish(struct pyrt_listing *listing, struct pyrt_error *error);
void pyrt_listing_free(struct pyrt_listing *listing);

#endif
