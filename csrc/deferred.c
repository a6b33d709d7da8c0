#define _GNU_SOURCE
#include "deferred.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "metadata.h"

static size_t start_slot(const struct pyrt_deferred_list *list, dev_t device, ino_t inode) {
    uint64_t mixed = ((uint64_t)inode ^ (uint64_t)device << 40) * UINT64_C(0x9e3779b97f4a7c15);

    return (size_t)(mixed >> 20) % (2 * list->room);
}

/* The slot of the inode, or the free one where it belongs. */
static size_t *slot_of(const struct pyrt_deferred_list *list, dev_t device, ino_t inode) {
    size_t at = start_slot(list, device, inode);

    while (list->slots[at] != 0) {
        const struct pyrt_deferred *item = &list->items[list->slots[at] - 1];

        if (item->inode == inode && item->device == device)
            break;
        at = (at + 1) % (2 * list->room);
    }
    return &list->slots[at];
}

static int grow(struct pyrt_deferred_list *list) {
    size_t room = list->room ? 2 * list->room : 256;
    struct pyrt_deferred *items = realloc(list->items, room * sizeof *items);
    size_t *slots;

    if (items == NULL)
        return -ENOMEM;
    list->items = items;
    slots = calloc(2 * room, sizeof *slots);
    if (slots == NULL)
        return -ENOMEM;
    free(list->slots);
    list->slots = slots;
    list->room = room;
    for (size_t i = 0; i < list->count; i++)
        *slot_of(list, items[i].device, items[i].inode) = i + 1;
    return 0;
}

static void release(struct pyrt_deferred *item) {
    free((void *)item->attributes.xattrs);
    free(item->name);
}

/* How many wait, and the memory that they need. */
static size_t count_waiting(const struct pyrt_attributes *attributes, size_t *bytes) {
    size_t count = 0;

    *bytes = 0;
    for (size_t i = 0; i < attributes->xattr_count; i++) {
        const struct pyrt_xattr *xattr = &attributes->xattrs[i];

        if (!pyrt_xattr_waits(xattr->name))
            continue;
        *bytes += sizeof *xattr + strlen(xattr->name) + 1 + xattr->size;
        count++;
    }
    return count;
}

/* One block of memory: the array first, names and values behind it. */
static void copy_waiting(struct pyrt_xattr *copy, size_t count, const struct pyrt_attributes *attributes) {
    char *at = (char *)(copy + count);

    for (size_t i = 0; i < attributes->xattr_count; i++) {
        const struct pyrt_xattr *from = &attributes->xattrs[i];

        if (!pyrt_xattr_waits(from->name))
            continue;
        copy->name = at;
        at = stpcpy(at, from->name) + 1;
        copy->value = (const uint8_t *)at;
        copy->size = from->size;
        at = mempcpy(at, from->value, from->size);
        copy++;
    }
}

static int keep_waiting(struct pyrt_deferred *item, const struct pyrt_attributes *attributes) {
    size_t bytes, count = count_waiting(attributes, &bytes);
    struct pyrt_xattr *copy = count > 0 ? malloc(bytes) : NULL;

    item->attributes.xattrs = copy;
    item->attributes.xattr_count = count;
    if (count > 0 && copy == NULL)
        return -ENOMEM;
    if (count > 0)
        copy_waiting(copy, count, attributes);
    /* Its slots, and what the allocator adds to a block. */
    item->bytes = sizeof *item + 4 * sizeof(size_t) + item->size + 16 + (count > 0 ? bytes + 16 : 0);
    return 0;
}

static size_t depth_of(const char *name, size_t size) {
    size_t depth = size > 0;

    for (size_t i = 0; i < size; i++)
        depth += name[i] == '/';
    return depth;
}

int pyrt_defer(struct pyrt_deferred_list *list, dev_t device, ino_t inode, const char *name, size_t size,
               const struct pyrt_entry *entry) {
    struct pyrt_deferred item = {.device = device,
                                 .inode = inode,
                                 .index = entry->index,
                                 .depth = depth_of(name, size),
                                 .attributes = entry->attributes,
                                 .size = size,
                                 .name = strndup(name, size)};
    int failed = keep_waiting(&item, &entry->attributes);
    size_t *slot;

    if (failed == 0 && (item.name == NULL || (list->count == list->room && grow(list) < 0)))
        failed = -ENOMEM;
    if (failed < 0) {
        release(&item);
        return failed;
    }
    slot = slot_of(list, device, inode);
    if (*slot != 0) {
        list->bytes -= list->items[*slot - 1].bytes;
        release(&list->items[*slot - 1]);
    } else {
        *slot = ++list->count;
    }
    list->items[*slot - 1] = item;
    list->bytes += item.bytes;
    return list->bytes > PYRT_MAX_DEFERRED ? -EFBIG : 0;
}

void pyrt_undefer(struct pyrt_deferred_list *list, dev_t device, ino_t inode) {
    size_t slot = list->room > 0 ? *slot_of(list, device, inode) : 0;

    if (slot != 0)
        list->items[slot - 1].gone = true;
}

static int by_depth(const void *left, const void *right) {
    const struct pyrt_deferred *one = left, *other = right;

    if (one->depth != other->depth)
        return one->depth < other->depth ? 1 : -1;
    return one->index < other->index ? -1 : one->index > other->index;
}

void pyrt_deferred_sort(struct pyrt_deferred_list *list) {
    if (list->count > 0)
        qsort(list->items, list->count, sizeof *list->items, by_depth);
}

void pyrt_deferred_free(struct pyrt_deferred_list *list) {
    for (size_t i = 0; i < list->count; i++)
        release(&list->items[i]);
    free(list->items);
    free(list->slots);
    *list = (struct pyrt_deferred_list){0};
}
