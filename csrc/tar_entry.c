#include "tar_entry.h"

#include <stdlib.h>
#include <string.h>

#include "layer_step.h"
#include "bounds.h"

#define TYPE_BITS 0170000u
#define TYPE_SOCKET 0140000u
#define SPARSE_KEYS                                                                                                    \
    (PYRT_PAX_SPARSE_MAJOR | PYRT_PAX_SPARSE_MINOR | PYRT_PAX_SPARSE_SIZE | PYRT_PAX_SPARSE_COUNT |                    \
     PYRT_PAX_SPARSE_NAME | PYRT_PAX_SPARSE_MAP)

/* The closed set of typeflags. Everything else is an error: GNU tar's N renames files, D and M mean nothing here. */
static bool kind_of(char type, enum pyrt_kind *kind) {
    switch (type) {
    case 0:
    case '0':
    case '7':
    case 'S':
        *kind = PYRT_REGULAR;
        return true;
    case '1':
        *kind = PYRT_HARDLINK;
        return true;
    case '2':
        *kind = PYRT_SYMLINK;
        return true;
    case '3':
        *kind = PYRT_CHARACTER;
        return true;
    case '4':
        *kind = PYRT_BLOCK;
        return true;
    case '5':
        *kind = PYRT_DIRECTORY;
        return true;
    case '6':
        *kind = PYRT_FIFO;
        return true;
    default:
        return false;
    }
}

/* The record that counts: the entry's own, else the global one, else NULL for what the header says. */
static const struct pyrt_pax *source(const struct pyrt_tar *tar, enum pyrt_pax_key key) {
    if (tar->local.set & key)
        return &tar->local;
    if (!(tar->local.deleted & key) && tar->global.set & key)
        return &tar->global;
    return NULL;
}

static void merge_numbers(struct pyrt_tar *tar) {
    struct pyrt_attributes *to = &tar->entry.attributes;
    const struct pyrt_pax *pax;

    to->mode = tar->header.mode & 07777u;
    pax = source(tar, PYRT_PAX_UID);
    to->uid = pax ? (uint32_t)pax->uid : tar->header.uid;
    pax = source(tar, PYRT_PAX_GID);
    to->gid = pax ? (uint32_t)pax->gid : tar->header.gid;
    pax = source(tar, PYRT_PAX_MTIME);
    to->times[1] = pax ? pax->mtime : (struct timespec){.tv_sec = pyrt_clamp_time(tar->header.mtime)};
    pax = source(tar, PYRT_PAX_ATIME);
    to->times[0] = pax ? pax->atime : to->times[1];
}

static void merge_names(struct pyrt_tar *tar) {
    const struct pyrt_pax *pax = &tar->local;
    struct pyrt_entry *entry = &tar->entry;
    struct pyrt_text path = pax->set & PYRT_PAX_SPARSE_NAME ? pax->sparse_name : pax->path;

    entry->name = tar->header.name;
    entry->name_size = strlen(tar->header.name);
    if (pax->set & (PYRT_PAX_PATH | PYRT_PAX_SPARSE_NAME)) {
        entry->name = pyrt_pax_text(pax, path);
        entry->name_size = path.size;
    }
    entry->link = "";
    entry->link_size = 0;
    if (entry->kind != PYRT_SYMLINK && entry->kind != PYRT_HARDLINK)
        return;
    entry->link = pax->set & PYRT_PAX_LINK ? pyrt_pax_text(pax, pax->link) : tar->header.link;
    entry->link_size = pax->set & PYRT_PAX_LINK ? pax->link.size : strlen(tar->header.link);
}

static bool merge_xattrs(struct pyrt_tar *tar) {
    const struct pyrt_pax *pax = &tar->local;

    if (pax->xattr_count > tar->xattr_room) {
        struct pyrt_xattr *grown = realloc(tar->xattrs, pax->xattr_room * sizeof *grown);
        if (grown == NULL)
            return false;
        tar->xattrs = grown;
        tar->xattr_room = pax->xattr_room;
    }
    for (size_t i = 0; i < pax->xattr_count; i++)
        tar->xattrs[i] = (struct pyrt_xattr){
            .name = pyrt_pax_text(pax, pax->xattrs[i].name),
            .value = (const uint8_t *)pyrt_pax_text(pax, pax->xattrs[i].value),
            .size = pax->xattrs[i].value.size,
        };
    tar->entry.attributes.xattrs = tar->xattrs;
    tar->entry.attributes.xattr_count = pax->xattr_count;
    return true;
}

/* Version 1.0 has its map before the data. */
static bool is_1_0(const struct pyrt_pax *pax) {
    uint32_t version = PYRT_PAX_SPARSE_MAJOR | PYRT_PAX_SPARSE_MINOR;

    return (pax->set & version) == version && pax->sparse_major == 1 && pax->sparse_minor == 0;
}

/* Versions 0.0 and 0.1 have it in the records, and 0.0 does not even say its version. */
static bool is_0_x(const struct pyrt_pax *pax) {
    return (!(pax->set & PYRT_PAX_SPARSE_MAJOR) || pax->sparse_major == 0) &&
           (!(pax->set & PYRT_PAX_SPARSE_MINOR) || pax->sparse_minor <= 1);
}

static bool map_is_complete(const struct pyrt_pax *pax) {
    return !pax->map.digits && (!(pax->set & PYRT_PAX_SPARSE_COUNT) || pax->sparse_count == pax->map.count);
}

static int plan_pax_sparse(struct pyrt_tar *tar, enum pyrt_tar_plan *plan) {
    const struct pyrt_pax *pax = &tar->local;

    if (tar->header.type == 'S' || !(pax->set & PYRT_PAX_SPARSE_SIZE))
        return PYRT_TAR_SPARSE;
    if (is_1_0(pax) && !(pax->set & PYRT_PAX_SPARSE_MAP))
        *plan = PYRT_TAR_TEXT_MAP;
    else if (is_0_x(pax) && map_is_complete(pax))
        *plan = PYRT_TAR_EMIT;
    else
        return PYRT_TAR_SPARSE;
    tar->sparse = true;
    return 0;
}

static int plan_sparse(struct pyrt_tar *tar, const uint8_t *block, enum pyrt_tar_plan *plan) {
    bool more;

    tar->sparse = false;
    if (tar->local.set & SPARSE_KEYS)
        return tar->entry.kind == PYRT_REGULAR ? plan_pax_sparse(tar, plan) : PYRT_TAR_SPARSE;
    if (tar->header.type != 'S')
        return 0;
    if (!pyrt_header_sparse(block, &tar->local.map, &more))
        return PYRT_TAR_SPARSE;
    *plan = more ? PYRT_TAR_OLD_MAP : PYRT_TAR_EMIT;
    tar->sparse = true;
    return 0;
}

static int check_names(const struct pyrt_entry *entry) {
    bool links = entry->kind == PYRT_SYMLINK || entry->kind == PYRT_HARDLINK;

    return links && entry->link_size == 0 ? PYRT_TAR_NAME : 0;
}

int pyrt_tar_merge(struct pyrt_tar *tar, enum pyrt_tar_plan *plan) {
    struct pyrt_entry *entry = &tar->entry;
    bool label = tar->header.type == 'V';
    int step;

    *plan = PYRT_TAR_EMIT;
    entry->index = tar->index;
    entry->kind = PYRT_REGULAR;
    if (!label && !kind_of(tar->header.type, &entry->kind))
        return PYRT_TAR_TYPE;
    merge_names(tar);
    /* v7 had no typeflag for directories; their names end in a slash. */
    if (tar->header.type == 0 && entry->name_size > 0 && entry->name[entry->name_size - 1] == '/')
        entry->kind = PYRT_DIRECTORY;
    /* The pax size counts for the data and for finding the next header alike (CVE-2025-62518). Links, devices and
       directories have no data, whatever size an old writer put there. */
    tar->left = tar->local.set & PYRT_PAX_SIZE ? tar->local.size : tar->header.size;
    if (entry->kind != PYRT_REGULAR)
        tar->left = 0;
    merge_numbers(tar);
    entry->major = tar->header.major;
    entry->minor = tar->header.minor;
    step = check_names(entry);
    step = step ? step : plan_sparse(tar, tar->block, plan);
    if (step != 0)
        return step;
    if (label || tar->local.set & PYRT_PAX_SOCKET || (tar->header.mode & TYPE_BITS) == TYPE_SOCKET)
        *plan = PYRT_TAR_IGNORE;
    return merge_xattrs(tar) ? 0 : PYRT_TAR_MEMORY;
}
