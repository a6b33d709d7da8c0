#include "tar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "layer_step.h"
#include "bounds.h"
#include "tar_entry.h"

void pyrt_tar_init(struct pyrt_tar *tar, struct pyrt_sink sink) {
    *tar = (struct pyrt_tar){.sink = sink};
}

void pyrt_tar_free(struct pyrt_tar *tar) {
    pyrt_bytes_free(&tar->extension);
    pyrt_pax_free(&tar->local);
    pyrt_pax_free(&tar->global);
    free(tar->xattrs);
    tar->xattrs = NULL;
    tar->xattr_room = 0;
}

/* An errno that says of which sort the parser's complaint is. */
static int errno_of(int step) {
    switch (step) {
    case PYRT_TAR_NUMBER:
        return EOVERFLOW;
    case PYRT_TAR_TYPE:
        return EOPNOTSUPP;
    case PYRT_TAR_EXTENSION:
        return E2BIG;
    case PYRT_TAR_MEMORY:
        return ENOMEM;
    default:
        return EBADMSG;
    }
}

static int fail(const struct pyrt_tar *tar, int step, struct pyrt_error *error) {
    const char *name = tar->header.name;
    size_t size = strlen(name);

    if (tar->local.set & PYRT_PAX_PATH) {
        name = pyrt_pax_text(&tar->local, tar->local.path);
        size = tar->local.path.size;
    }
    return pyrt_fail(error, step, errno_of(step), tar->index, name, size);
}

static uint64_t padding(uint64_t size) {
    return (PYRT_BLOCK_SIZE - size % PYRT_BLOCK_SIZE) % PYRT_BLOCK_SIZE;
}

/* The next header starts after `skip` bytes that nobody wants. */
static void go_on(struct pyrt_tar *tar, uint64_t skip) {
    tar->skip = skip;
    tar->state = skip > 0 ? PYRT_TAR_IN_PADDING : PYRT_TAR_AT_HEADER;
}

static void forget_entry(struct pyrt_tar *tar) {
    pyrt_pax_clear(&tar->local);
    tar->extensions = 0;
    tar->extension_bytes = 0;
    tar->index++;
}

static int end_entry(struct pyrt_tar *tar, struct pyrt_error *error) {
    if (tar->sink.end(tar->sink.self, error) < 0)
        return -1;
    forget_entry(tar);
    go_on(tar, tar->skip);
    return 0;
}

/* All that can be known of the entry is known; its data comes next. */
static int start_entry(struct pyrt_tar *tar, struct pyrt_error *error) {
    const struct pyrt_sparse *map = &tar->local.map;

    if (tar->sparse && !pyrt_sparse_check(map, tar->left))
        return fail(tar, PYRT_TAR_SPARSE, error);
    tar->skip = padding(tar->left);
    tar->entry.size = tar->sparse ? map->real_size : tar->left;
    tar->entry.regions = tar->sparse ? map->count : 0;
    tar->offset = 0;
    tar->region = 0;
    tar->region_done = 0;
    if (tar->sink.entry(tar->sink.self, &tar->entry, error) < 0)
        return -1;
    if (tar->left == 0)
        return end_entry(tar, error);
    tar->state = PYRT_TAR_IN_DATA;
    return 0;
}

static int ignore_entry(struct pyrt_tar *tar) {
    uint64_t size = tar->left;

    forget_entry(tar);
    go_on(tar, size + padding(size));
    return 0;
}

static int read_entry_header(struct pyrt_tar *tar, struct pyrt_error *error) {
    enum pyrt_tar_plan plan;
    int step = pyrt_tar_merge(tar, &plan);

    if (step != 0)
        return fail(tar, step, error);
    switch (plan) {
    case PYRT_TAR_EMIT:
        return start_entry(tar, error);
    case PYRT_TAR_IGNORE:
        return ignore_entry(tar);
    case PYRT_TAR_OLD_MAP:
        tar->state = PYRT_TAR_AT_SPARSE;
        return 0;
    case PYRT_TAR_TEXT_MAP:
        tar->state = PYRT_TAR_IN_SPARSE_MAP;
        return 0;
    }
    return fail(tar, PYRT_TAR_TYPE, error);
}

static int read_extension(struct pyrt_tar *tar, struct pyrt_error *error) {
    const uint8_t *body = tar->extension.size > 0 ? tar->extension.at : (const uint8_t *)"";
    size_t size = tar->extension.size;
    int step = 0;

    if (tar->header.type == 'L')
        step = pyrt_pax_keep(&tar->local, PYRT_PAX_PATH, body, size);
    else if (tar->header.type == 'K')
        step = pyrt_pax_keep(&tar->local, PYRT_PAX_LINK, body, size);
    else
        step = pyrt_pax_read(tar->header.type == 'x' ? &tar->local : &tar->global, body, size,
                             tar->header.type == 'g');
    if (step != 0)
        return fail(tar, step, error);
    go_on(tar, padding(size));
    return 0;
}

static int read_extension_header(struct pyrt_tar *tar, struct pyrt_error *error) {
    if (++tar->extensions > PYRT_MAX_EXTENSIONS_IN_A_ROW ||
        tar->header.size > PYRT_MAX_EXTENSION - tar->extension_bytes)
        return fail(tar, PYRT_TAR_EXTENSION, error);
    tar->extension_bytes += tar->header.size;
    tar->extension.size = 0;
    tar->left = tar->header.size;
    tar->state = PYRT_TAR_IN_EXTENSION;
    return tar->left == 0 ? read_extension(tar, error) : 0;
}

static bool is_extension(char type) {
    return type == 'x' || type == 'g' || type == 'L' || type == 'K';
}

static int read_header(struct pyrt_tar *tar, struct pyrt_error *error) {
    int step;

    if (pyrt_block_is_zero(tar->block)) {
        /* A long name or an x record needs an entry after it; only a global header may stand alone. */
        if (tar->local.set || tar->local.deleted || tar->local.xattr_count > 0)
            return fail(tar, PYRT_TAR_EXTENSION, error);
        tar->state = PYRT_TAR_AT_SECOND_ZERO;
        return 0;
    }
    step = pyrt_header_decode(tar->block, &tar->header);
    if (step != 0)
        return fail(tar, step, error);
    return is_extension(tar->header.type) ? read_extension_header(tar, error) : read_entry_header(tar, error);
}

static int read_old_map(struct pyrt_tar *tar, struct pyrt_error *error) {
    bool more;

    if (!pyrt_extension_sparse(tar->block, &tar->local.map, &more))
        return fail(tar, PYRT_TAR_SPARSE, error);
    return more ? 0 : start_entry(tar, error);
}

static int read_text_map(struct pyrt_tar *tar, struct pyrt_error *error) {
    struct pyrt_sparse *map = &tar->local.map;

    if (tar->left < PYRT_BLOCK_SIZE)
        return fail(tar, PYRT_TAR_SPARSE, error);
    tar->left -= PYRT_BLOCK_SIZE;
    switch (pyrt_sparse_read(map, tar->block, PYRT_BLOCK_SIZE)) {
    case PYRT_SPARSE_MORE:
        return 0;
    case PYRT_SPARSE_DONE:
        return start_entry(tar, error);
    case PYRT_SPARSE_BAD:
        break;
    }
    return fail(tar, PYRT_TAR_SPARSE, error);
}

static int read_block(struct pyrt_tar *tar, struct pyrt_error *error) {
    switch (tar->state) {
    case PYRT_TAR_AT_HEADER:
        return read_header(tar, error);
    case PYRT_TAR_AT_SPARSE:
        return read_old_map(tar, error);
    case PYRT_TAR_IN_SPARSE_MAP:
        return read_text_map(tar, error);
    default:
        /* A single zero block with something behind it is no end of archive that all programs agree about. */
        if (!pyrt_block_is_zero(tar->block))
            return fail(tar, PYRT_TAR_CHECKSUM, error);
        tar->state = PYRT_TAR_AFTER_END;
        return 0;
    }
}

static int take_block(struct pyrt_tar *tar, const uint8_t *bytes, size_t size, size_t *used, struct pyrt_error *error) {
    size_t wanted = PYRT_BLOCK_SIZE - tar->filled;

    *used = size < wanted ? size : wanted;
    memcpy(tar->block + tar->filled, bytes, *used);
    tar->filled += *used;
    if (tar->filled < PYRT_BLOCK_SIZE)
        return 0;
    tar->filled = 0;
    return read_block(tar, error);
}

static int take_extension(struct pyrt_tar *tar, const uint8_t *bytes, size_t size, size_t *used,
                          struct pyrt_error *error) {
    *used = size < tar->left ? size : (size_t)tar->left;
    if (pyrt_bytes_add(&tar->extension, bytes, *used) < 0)
        return fail(tar, PYRT_TAR_MEMORY, error);
    tar->left -= *used;
    return tar->left == 0 ? read_extension(tar, error) : 0;
}

/* Bytes up to the end of the current region of a sparse file; regions of size 0 are passed over. */
static size_t aim(struct pyrt_tar *tar, size_t size) {
    const struct pyrt_region *region = &tar->local.map.regions[tar->region];

    while (tar->region_done == region->size) {
        region = &tar->local.map.regions[++tar->region];
        tar->region_done = 0;
    }
    tar->offset = region->offset + tar->region_done;
    if (size > region->size - tar->region_done)
        size = (size_t)(region->size - tar->region_done);
    tar->region_done += size;
    return size;
}

static int take_data(struct pyrt_tar *tar, const uint8_t *bytes, size_t size, size_t *used, struct pyrt_error *error) {
    *used = size < tar->left ? size : (size_t)tar->left;
    if (tar->sparse)
        *used = aim(tar, *used);
    if (tar->sink.data(tar->sink.self, bytes, *used, tar->offset, error) < 0)
        return -1;
    tar->offset += *used;
    tar->left -= *used;
    return tar->left == 0 ? end_entry(tar, error) : 0;
}

static void take_padding(struct pyrt_tar *tar, size_t size, size_t *used) {
    *used = size < tar->skip ? size : (size_t)tar->skip;
    go_on(tar, tar->skip - *used);
}

static int take(struct pyrt_tar *tar, const uint8_t *bytes, size_t size, size_t *used, struct pyrt_error *error) {
    switch (tar->state) {
    case PYRT_TAR_IN_EXTENSION:
        return take_extension(tar, bytes, size, used, error);
    case PYRT_TAR_IN_DATA:
        return take_data(tar, bytes, size, used, error);
    case PYRT_TAR_IN_PADDING:
        take_padding(tar, size, used);
        return 0;
    case PYRT_TAR_AFTER_END:
        *used = size;
        return 0;
    case PYRT_TAR_FAILED:
        *used = 0;
        *error = tar->error;
        return -1;
    default:
        return take_block(tar, bytes, size, used, error);
    }
}

int pyrt_tar_step(struct pyrt_tar *tar, const uint8_t *bytes, size_t size, size_t *used, struct pyrt_error *error) {
    if (take(tar, bytes, size, used, error) == 0)
        return 0;
    tar->state = PYRT_TAR_FAILED;
    tar->error = *error;
    return -1;
}

uint64_t pyrt_tar_jump(struct pyrt_tar *tar) {
    bool in_data = tar->state == PYRT_TAR_IN_DATA;
    uint64_t size = tar->skip + (in_data ? tar->left : 0);

    if (!in_data && tar->state != PYRT_TAR_IN_PADDING)
        return 0;
    if (in_data)
        forget_entry(tar);
    go_on(tar, 0);
    return size;
}

int pyrt_tar_feed(struct pyrt_tar *tar, const uint8_t *bytes, size_t size, struct pyrt_error *error) {
    while (size > 0) {
        size_t used;

        if (pyrt_tar_step(tar, bytes, size, &used, error) < 0)
            return -1;
        bytes += used;
        size -= used;
    }
    return 0;
}

int pyrt_tar_finish(struct pyrt_tar *tar, struct pyrt_error *error) {
    bool pending = tar->filled > 0 || tar->local.set || tar->local.deleted || tar->local.xattr_count > 0;

    switch (tar->state) {
    case PYRT_TAR_FAILED:
        *error = tar->error;
        return -1;
    case PYRT_TAR_AFTER_END:
        return 0;
    case PYRT_TAR_AT_HEADER:
    case PYRT_TAR_AT_SECOND_ZERO:
        if (!pending)
            return 0;
        break;
    default:
        break;
    }
    return fail(tar, PYRT_TAR_TRUNCATED, error);
}
