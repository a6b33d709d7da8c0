/* A push parser for the tar archives that layers are: takes bytes as they come, tells a sink what they mean.

   It knows no file descriptor. Every header is checked before it is believed; nothing is allocated because of a number
   that a header claims, only because of bytes that have come. */
#ifndef PYRT_TAR_H
#define PYRT_TAR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "entry.h"
#include "header.h"
#include "pax.h"

enum pyrt_tar_state {
    PYRT_TAR_AT_HEADER,
    PYRT_TAR_IN_EXTENSION,  /* the body of an x, g, L or K header */
    PYRT_TAR_AT_SPARSE,     /* a block of an old GNU sparse map */
    PYRT_TAR_IN_SPARSE_MAP, /* the text map before the data of pax 1.0 */
    PYRT_TAR_IN_DATA,
    PYRT_TAR_IN_PADDING,    /* bytes that nobody wants */
    PYRT_TAR_AT_SECOND_ZERO,
    PYRT_TAR_AFTER_END,
    PYRT_TAR_FAILED
};

struct pyrt_tar {
    struct pyrt_sink sink;
    enum pyrt_tar_state state;
    uint8_t block[PYRT_BLOCK_SIZE];
    size_t filled;
    struct pyrt_header header;
    struct pyrt_bytes extension;
    unsigned extensions;      /* in a row */
    uint64_t extension_bytes; /* of all of them */
    struct pyrt_pax local;
    struct pyrt_pax global;
    struct pyrt_entry entry;
    struct pyrt_xattr *xattrs;
    size_t xattr_room;
    uint64_t left;    /* stored bytes of the entry or of the extension still to come */
    uint64_t skip;    /* bytes to be dropped before the next header */
    uint64_t offset;  /* of the next data byte in the file */
    bool sparse;
    size_t region;    /* of the sparse map */
    uint64_t region_done;
    int32_t index;
    struct pyrt_error error; /* kept: whoever feeds on gets it again */
};

void pyrt_tar_init(struct pyrt_tar *tar, struct pyrt_sink sink);
/* 0, or -1 with the error filled. */
int pyrt_tar_feed(struct pyrt_tar *tar, const uint8_t *bytes, size_t size, struct pyrt_error *error);
/* The same for no more than what belongs together: one block, or what is here of a body. */
int pyrt_tar_step(struct pyrt_tar *tar, const uint8_t *bytes, size_t size, size_t *used, struct pyrt_error *error);
/* Leaves the data at hand and its padding out, which the sink is not told: how many bytes that is. */
uint64_t pyrt_tar_jump(struct pyrt_tar *tar);
/* Says that no more bytes come: an error where that is in the middle of an entry. */
int pyrt_tar_finish(struct pyrt_tar *tar, struct pyrt_error *error);
void pyrt_tar_free(struct pyrt_tar *tar);

#endif
