#define _GNU_SOURCE
#include "archive.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define BLOCK 512
#define COUNT(table) (sizeof(table) / sizeof *(table))

/* Two hundred and fifty-five bytes, the longest component; and forty levels in one. */
#define N15 "nnnnnnnnnnnnnnn"
#define N255 N15 N15 N15 N15 N15 N15 N15 N15 N15 N15 N15 N15 N15 N15 N15 N15 N15
#define D10 "d/d/d/d/d/d/d/d/d/d"

/* NULL: the canary. */
static const char *const components[] = {
    "a",       "b",      "l",      "f",       "..",       "",           ".wh.a",  ".wh..wh..opq",
    ".wh.l",   ".wh.b",  "d",      ".",       "a/l",      NULL,         "../..",  "./l/..",
    "l/a",     ".wh.f",  ".wh.d",  "etc",     ".wh.",     ".wh..",      ".wh...", ".wh..wh.x",
    "null",    "fifo",   "g",      "\n\xff",  N255,       D10 "/" D10,  "...",    "proc/self/root",
};

static const uint16_t modes[] = {0755, 0644, 0700, 0, 04755, 02755, 01777, 07777};
static const uint32_t ids[] = {0, 0, 1, 1000, 65534, 2000000, 0, 0};

static const struct {
    const char *name, *value;
    size_t size;
} xattrs[] = {
    {"user.x", "y", 1},
    {"trusted.x", "y", 1},
    {"trusted.overlay.opaque", "y", 1},
    {"trusted.overlay.redirect", "/a", 2},
    {"user.overlay.opaque", "y", 1},
    {"security.capability", "\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20},
    {"security.selinux", "u:o:t", 5},
    {"system.posix_acl_default", "\2\0\0\0\1\0\7\0\377\377\377\377\4\0\5\0\377\377\377\377\40\0\5\0\377\377\377\377", 28},
};

uint8_t fuzz_byte(struct fuzz_input *input) {
    if (input->size == 0)
        return 0;
    input->size--;
    return *input->at++;
}

/* One byte for each component: five bits say which, the sixth that another one follows. */
void fuzz_name(struct fuzz_input *input, const char *canary, char name[FUZZ_NAME_ROOM]) {
    size_t size = 0;
    uint8_t byte;
    int count = 0;

    do {
        const char *component;
        size_t more;

        byte = fuzz_byte(input);
        component = components[byte % COUNT(components)];
        if (component == NULL)
            component = canary;
        more = strlen(component);
        if (size + more + 2 > FUZZ_NAME_ROOM)
            break;
        if (count > 0)
            name[size++] = '/';
        memcpy(name + size, component, more);
        size += more;
    } while (byte & 0x20 && ++count < 8);
    name[size] = 0;
}

static void add(struct fuzz_archive *archive, const void *bytes, size_t size) {
    size_t padded = (size + BLOCK - 1) / BLOCK * BLOCK;

    if (archive->size + padded > sizeof archive->bytes)
        return;
    memset(archive->bytes + archive->size, 0, padded);
    memcpy(archive->bytes + archive->size, bytes, size);
    archive->size += padded;
}

static void put(uint8_t *field, size_t size, uint64_t value) {
    char text[24];

    snprintf(text, sizeof text, "%0*llo", (int)size - 1, (unsigned long long)value);
    memcpy(field, text, size - 1);
}

struct head {
    char type;
    const char *name, *link;
    uint32_t mode, uid, gid, device;
    uint64_t size, mtime;
};

static void add_header(struct fuzz_archive *archive, const struct head *head) {
    uint8_t block[BLOCK] = {0};
    unsigned sum = 0;

    memcpy(block, head->name, strnlen(head->name, 100));
    put(block + 100, 8, head->mode);
    put(block + 108, 8, head->uid);
    put(block + 116, 8, head->gid);
    put(block + 124, 12, head->size);
    put(block + 136, 12, head->mtime);
    memset(block + 148, ' ', 8);
    block[156] = (uint8_t)head->type;
    memcpy(block + 157, head->link, strnlen(head->link, 100));
    memcpy(block + 257, "ustar\00000", 8);
    put(block + 329, 8, head->device >> 8);
    put(block + 337, 8, head->device & 0xff);
    for (size_t i = 0; i < BLOCK; i++)
        sum += block[i];
    put(block + 148, 7, sum);
    add(archive, block, sizeof block);
}

static void add_extension(struct fuzz_archive *archive, char type, const void *body, size_t size) {
    add_header(archive, &(struct head){.type = type, .name = "x", .link = "", .size = size});
    add(archive, body, size);
}

/* A pax record says its own length, its digits counted. */
static size_t record(uint8_t *to, const char *key, const void *value, size_t size) {
    size_t rest = strlen(key) + size + 3, length = rest + 1;
    int head;

    for (size_t digits = 1, limit = 10; length >= limit; digits++, limit *= 10)
        length = rest + digits + 1;
    head = sprintf((char *)to, "%zu %s=", length, key);
    memcpy(to + head, value, size);
    to[(size_t)head + size] = '\n';
    return (size_t)head + size + 1;
}

/* Names and links beyond a hundred bytes, or that the input wants so, in GNU's way or in pax's. */
static void add_extensions(struct fuzz_archive *archive, const struct head *head, uint8_t how, uint8_t xattr) {
    uint8_t body[2 * FUZZ_NAME_ROOM + 256];
    size_t size = 0;
    bool pax = how & 1, always = how & 2;

    if (strlen(head->name) > 100 || always) {
        if (pax)
            size += record(body + size, "path", head->name, strlen(head->name));
        else
            add_extension(archive, 'L', head->name, strlen(head->name) + 1);
    }
    if (strlen(head->link) > 100 || (always && *head->link != 0)) {
        if (pax)
            size += record(body + size, "linkpath", head->link, strlen(head->link));
        else
            add_extension(archive, 'K', head->link, strlen(head->link) + 1);
    }
    if (how & 4) {
        char key[64];

        snprintf(key, sizeof key, "SCHILY.xattr.%s", xattrs[xattr % COUNT(xattrs)].name);
        size += record(body + size, key, xattrs[xattr % COUNT(xattrs)].value, xattrs[xattr % COUNT(xattrs)].size);
    }
    if (how & 8)
        size += record(body + size, "mtime", "3.5", 3);
    if (size > 0)
        add_extension(archive, 'x', body, size);
}

/* A pax 1.0 sparse file: one hole, then the data. */
static void add_sparse(struct fuzz_archive *archive, struct head *head, const uint8_t *data) {
    uint8_t body[FUZZ_NAME_ROOM + 256], map[BLOCK] = {0};
    char size[24];
    size_t used = 0;

    used += record(body + used, "GNU.sparse.major", "1", 1);
    used += record(body + used, "GNU.sparse.minor", "0", 1);
    used += record(body + used, "GNU.sparse.name", head->name, strlen(head->name));
    used += record(body + used, "GNU.sparse.realsize", size,
                   (size_t)sprintf(size, "%llu", (unsigned long long)head->size + 70000));
    add_extension(archive, 'x', body, used);
    sprintf((char *)map, "1\n69000\n%llu\n", (unsigned long long)head->size);
    head->size += sizeof map;
    add_header(archive, head);
    add(archive, map, sizeof map);
    add(archive, data, head->size - sizeof map);
}

static void add_file(struct fuzz_archive *archive, struct head *head, struct fuzz_input *input, uint8_t how) {
    static const uint16_t sizes[] = {0, 1, 600, 0, 512, 4096, 0, 511};
    static uint8_t data[4096];

    head->size = sizes[how >> 5];
    memset(data, fuzz_byte(input), sizeof data);
    if (how & 16) {
        add_sparse(archive, head, data);
        return;
    }
    add_header(archive, head);
    add(archive, data, head->size);
}

static void add_entry(struct fuzz_archive *archive, struct fuzz_input *input, const char *canary, uint8_t kind) {
    static const char types[] = "0251501265034610";
    static char name[FUZZ_NAME_ROOM], link[FUZZ_NAME_ROOM];
    uint8_t how = kind & 0x10 ? fuzz_byte(input) : 0, attributes = kind & 0x10 ? fuzz_byte(input) : 0;
    struct head head = {.type = types[kind & 15], .name = name, .link = "", .mtime = 1 + (attributes & 7)};

    head.mode = modes[attributes >> 5];
    head.uid = ids[attributes & 7];
    head.gid = ids[(attributes >> 2) & 7];
    head.device = 0x103 - (attributes == 255 ? 0x103 : 0);
    fuzz_name(input, canary, name);
    if (head.type == '1' || head.type == '2') {
        head.link = link;
        fuzz_name(input, canary, link);
    }
    add_extensions(archive, &head, how, attributes);
    if (head.type == '0')
        add_file(archive, &head, input, how);
    else
        add_header(archive, &head);
}

void fuzz_end(struct fuzz_archive *archive) {
    static const uint8_t zeros[2 * BLOCK];

    add(archive, zeros, sizeof zeros);
}

void fuzz_entry(struct fuzz_archive *archive, char type, const char *name, uint32_t mode) {
    add_header(archive, &(struct head){.type = type, .name = name, .link = "", .mode = mode, .mtime = 1});
}

void fuzz_entries(struct fuzz_input *input, const char *canary, struct fuzz_archive *archive) {
    archive->size = 0;
    while (input->size > 0 && archive->size < sizeof archive->bytes - (1 << 15)) {
        uint8_t kind = fuzz_byte(input);

        if (kind == 0xff)
            break;
        add_entry(archive, input, canary, kind);
    }
    fuzz_end(archive);
}
