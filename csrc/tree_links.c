#include "tree_links.h"

#include <stdbool.h>
#include <stdlib.h>

#define FIRST_ROOM 64

static struct pyrt_link *slot_of(const struct pyrt_links *links, uint64_t device, uint64_t inode) {
    size_t mask = links->room - 1;

    /* Inode numbers follow one another: the multiplication spreads them. */
    for (size_t i = (size_t)((inode ^ device << 40) * 0x9E3779B97F4A7C15u >> 20) & mask;; i = (i + 1) & mask) {
        struct pyrt_link *link = &links->slots[i];

        if (link->count == 0 || (link->inode == inode && link->device == device))
            return link;
    }
}

static bool grow(struct pyrt_links *links) {
    struct pyrt_links larger = {.room = links->room ? links->room * 2 : FIRST_ROOM, .used = links->used};

    larger.slots = calloc(larger.room, sizeof *larger.slots);
    if (larger.slots == NULL)
        return false;
    for (size_t i = 0; i < links->room; i++)
        if (links->slots[i].count > 0)
            *slot_of(&larger, links->slots[i].device, links->slots[i].inode) = links->slots[i];
    free(links->slots);
    *links = larger;
    return true;
}

struct pyrt_link *pyrt_links_find(struct pyrt_links *links, dev_t device, ino_t inode) {
    struct pyrt_link *link;

    if (links->used * 4 >= links->room * 3 && !grow(links))
        return NULL;
    link = slot_of(links, device, inode);
    if (link->count == 0) {
        *link = (struct pyrt_link){.device = device, .inode = inode};
        links->used++;
    }
    return link;
}

void pyrt_links_free(struct pyrt_links *links) {
    free(links->slots);
    *links = (struct pyrt_links){0};
}
