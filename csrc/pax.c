#include "pax.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "layer_step.h"
#include "bounds.h"

static const char XATTR_PREFIX[] = "SCHILY.xattr.";

void pyrt_pax_clear(struct pyrt_pax *pax) {
    pax->set = pax->deleted = 0;
    pax->text.size = 0;
    pax->xattr_count = 0;
    pyrt_sparse_clear(&pax->map);
}

void pyrt_pax_free(struct pyrt_pax *pax) {
    pyrt_bytes_free(&pax->text);
    pyrt_sparse_free(&pax->map);
    free(pax->xattrs);
    *pax = (struct pyrt_pax){0};
}

const char *pyrt_pax_text(const struct pyrt_pax *pax, struct pyrt_text text) {
    return (const char *)pax->text.at + text.at;
}

/* 0 or a step. Copied with a NUL behind it; a NUL inside is for the caller to judge. */
static int keep_text(struct pyrt_pax *pax, const void *value, size_t size, struct pyrt_text *text) {
    *text = (struct pyrt_text){.at = pax->text.size, .size = size};
    if (pyrt_bytes_add(&pax->text, value, size) < 0 || pyrt_bytes_add(&pax->text, "", 1) < 0)
        return PYRT_TAR_MEMORY;
    return 0;
}

static int keep_name(struct pyrt_pax *pax, const char *value, size_t size, struct pyrt_text *text) {
    if (memchr(value, 0, size) != NULL || size > PYRT_MAX_NAME)
        return PYRT_TAR_NAME;
    return keep_text(pax, value, size, text);
}

static bool decimal(const char *text, size_t size, uint64_t most, uint64_t *value) {
    uint64_t number = 0;

    if (size == 0)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9' || number > (UINT64_MAX - 9) / 10)
            return false;
        number = 10 * number + (uint64_t)(text[i] - '0');
    }
    *value = number;
    return number <= most;
}

int64_t pyrt_clamp_time(int64_t seconds) {
    if (seconds < PYRT_MIN_TIME)
        return PYRT_MIN_TIME;
    return seconds > PYRT_MAX_TIME ? PYRT_MAX_TIME : seconds;
}

/* The first nine digits of a fraction; the rest only has to consist of digits. */
static bool nanoseconds(const char *text, size_t size, long *value) {
    long scale = 100000000;

    *value = 0;
    for (size_t i = 0; i < size; i++, scale /= 10) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        *value += scale * (text[i] - '0');
    }
    return true;
}

bool pyrt_pax_time(const char *text, size_t size, struct timespec *time) {
    bool negative = size > 0 && text[0] == '-';
    size_t i = negative ? 1 : 0, start = i;
    int64_t seconds = 0;
    long nanos = 0;

    for (; i < size && text[i] >= '0' && text[i] <= '9'; i++)
        seconds = seconds > PYRT_MAX_TIME ? seconds : 10 * seconds + (text[i] - '0');
    if (i == start || (i < size && (text[i] != '.' || !nanoseconds(text + i + 1, size - i - 1, &nanos))))
        return false;
    if (negative && nanos > 0) {
        seconds++;
        nanos = 1000000000 - nanos;
    }
    time->tv_sec = pyrt_clamp_time(negative ? -seconds : seconds);
    time->tv_nsec = nanos;
    return true;
}

static bool sparse_list(struct pyrt_sparse *map, const char *text, size_t size) {
    bool is_size = false;

    for (size_t i = 0; i <= size; is_size = !is_size) {
        const char *comma = memchr(text + i, ',', size - i);
        size_t end = comma ? (size_t)(comma - text) : size;
        uint64_t number;

        if (!decimal(text + i, end - i, INT64_MAX, &number) || !pyrt_sparse_number(map, is_size, number))
            return false;
        i = end + 1;
    }
    return !is_size;
}

/* What is done with a record's value. */
enum rule { NAME, NUMBER, ID, TIME, SOCKET, MAP_LIST, MAP_OFFSET, MAP_SIZE };

struct keyword {
    const char *name;
    enum pyrt_pax_key key;
    enum rule rule;
    bool one_file; /* refused in a global header */
    size_t field;
};

#define FIELD(member) offsetof(struct pyrt_pax, member)
static const struct keyword KEYWORDS[] = {
    {"path", PYRT_PAX_PATH, NAME, true, FIELD(path)},
    {"linkpath", PYRT_PAX_LINK, NAME, true, FIELD(link)},
    {"size", PYRT_PAX_SIZE, NUMBER, true, FIELD(size)},
    {"uid", PYRT_PAX_UID, ID, false, FIELD(uid)},
    {"gid", PYRT_PAX_GID, ID, false, FIELD(gid)},
    {"mtime", PYRT_PAX_MTIME, TIME, false, FIELD(mtime)},
    {"atime", PYRT_PAX_ATIME, TIME, false, FIELD(atime)},
    {"SCHILY.filetype", PYRT_PAX_SOCKET, SOCKET, true, 0},
    {"GNU.sparse.major", PYRT_PAX_SPARSE_MAJOR, NUMBER, true, FIELD(sparse_major)},
    {"GNU.sparse.minor", PYRT_PAX_SPARSE_MINOR, NUMBER, true, FIELD(sparse_minor)},
    {"GNU.sparse.name", PYRT_PAX_SPARSE_NAME, NAME, true, FIELD(sparse_name)},
    {"GNU.sparse.size", PYRT_PAX_SPARSE_SIZE, NUMBER, true, FIELD(map.real_size)},
    {"GNU.sparse.realsize", PYRT_PAX_SPARSE_SIZE, NUMBER, true, FIELD(map.real_size)},
    {"GNU.sparse.numblocks", PYRT_PAX_SPARSE_COUNT, NUMBER, true, FIELD(sparse_count)},
    {"GNU.sparse.map", PYRT_PAX_SPARSE_MAP, MAP_LIST, true, 0},
    {"GNU.sparse.offset", PYRT_PAX_SPARSE_MAP, MAP_OFFSET, true, 0},
    {"GNU.sparse.numbytes", PYRT_PAX_SPARSE_MAP, MAP_SIZE, true, 0},
};

static const struct keyword *find_keyword(const char *key, size_t size) {
    for (size_t i = 0; i < sizeof KEYWORDS / sizeof *KEYWORDS; i++)
        if (strlen(KEYWORDS[i].name) == size && memcmp(KEYWORDS[i].name, key, size) == 0)
            return &KEYWORDS[i];
    return NULL;
}

static int sparse_value(struct pyrt_pax *pax, enum rule rule, const char *value, size_t size) {
    uint64_t number;

    if (rule == MAP_LIST)
        return sparse_list(&pax->map, value, size) ? 0 : PYRT_TAR_SPARSE;
    if (!decimal(value, size, INT64_MAX, &number) || !pyrt_sparse_number(&pax->map, rule == MAP_SIZE, number))
        return PYRT_TAR_SPARSE;
    return 0;
}

static int keep_value(struct pyrt_pax *pax, const struct keyword *keyword, const char *value, size_t size) {
    void *field = (char *)pax + keyword->field;

    switch (keyword->rule) {
    case NAME:
        return keep_name(pax, value, size, field);
    case NUMBER:
        return decimal(value, size, INT64_MAX, field) ? 0 : PYRT_TAR_NUMBER;
    case ID:
        return decimal(value, size, PYRT_MAX_ID, field) ? 0 : PYRT_TAR_NUMBER;
    case TIME:
        return pyrt_pax_time(value, size, field) ? 0 : PYRT_TAR_NUMBER;
    case SOCKET:
        return 0;
    case MAP_LIST:
    case MAP_OFFSET:
    case MAP_SIZE:
        return sparse_value(pax, keyword->rule, value, size);
    }
    return PYRT_TAR_PAX;
}

static int keep_keyword(struct pyrt_pax *pax, const struct keyword *keyword, const char *value, size_t size) {
    int step;

    pax->set &= ~(uint32_t)keyword->key;
    pax->deleted &= ~(uint32_t)keyword->key;
    if (keyword->rule == SOCKET && (size != 6 || memcmp(value, "socket", 6) != 0))
        return 0;
    if (size == 0 && keyword->rule != MAP_LIST) {
        pax->deleted |= keyword->key;
        return keyword->rule < SOCKET ? 0 : PYRT_TAR_PAX;
    }
    step = size > 0 ? keep_value(pax, keyword, value, size) : 0;
    if (step == 0)
        pax->set |= keyword->key;
    return step;
}

static int keep_xattr(struct pyrt_pax *pax, const char *name, size_t name_size, const char *value, size_t size) {
    struct pyrt_pax_xattr *xattr;
    int step;

    if (name_size == 0 || name_size > PYRT_MAX_XATTR_NAME || memchr(name, 0, name_size) != NULL ||
        size > PYRT_MAX_XATTR_SIZE)
        return PYRT_TAR_PAX;
    if (pax->xattr_count == pax->xattr_room) {
        size_t room = pax->xattr_room ? 2 * pax->xattr_room : 8;
        xattr = realloc(pax->xattrs, room * sizeof *xattr);
        if (xattr == NULL)
            return PYRT_TAR_MEMORY;
        pax->xattrs = xattr;
        pax->xattr_room = room;
    }
    xattr = &pax->xattrs[pax->xattr_count];
    step = keep_text(pax, name, name_size, &xattr->name);
    step = step ? step : keep_text(pax, value, size, &xattr->value);
    if (step == 0)
        pax->xattr_count++;
    return step;
}

static int keep_record(struct pyrt_pax *pax, const char *record, size_t size, bool global, unsigned *counted) {
    const char *equals = memchr(record, '=', size);
    size_t key_size = equals ? (size_t)(equals - record) : 0;
    size_t prefix = sizeof XATTR_PREFIX - 1;
    const struct keyword *keyword;

    if (key_size == 0)
        return PYRT_TAR_PAX;
    keyword = find_keyword(record, key_size);
    if ((keyword == NULL || keyword->rule < MAP_LIST) && ++*counted > PYRT_MAX_PAX_RECORDS)
        return PYRT_TAR_PAX;
    if (keyword != NULL && keyword->one_file && global)
        return PYRT_TAR_PAX;
    if (keyword != NULL)
        return keep_keyword(pax, keyword, equals + 1, size - key_size - 1);
    if (key_size < prefix || memcmp(record, XATTR_PREFIX, prefix) != 0)
        return 0;
    if (global)
        return PYRT_TAR_PAX;
    return keep_xattr(pax, record + prefix, key_size - prefix, equals + 1, size - key_size - 1);
}

/* "LENGTH KEY=VALUE\n", where LENGTH counts the whole record. Gives its size, 0 where it is malformed. */
static size_t record_size(const char *text, size_t size, size_t *start) {
    uint64_t length = 0;
    size_t i = 0;

    while (i < size && i < 8 && text[i] >= '0' && text[i] <= '9')
        length = 10 * length + (uint64_t)(text[i++] - '0');
    if (i == 0 || i == size || text[i] != ' ' || length > size || length < i + 2 || text[length - 1] != '\n')
        return 0;
    *start = i + 1;
    return (size_t)length;
}

int pyrt_pax_read(struct pyrt_pax *pax, const uint8_t *body, size_t size, bool global) {
    const char *text = (const char *)body;
    unsigned counted = 0;

    while (size > 0) {
        size_t start, length = record_size(text, size, &start);
        int step;

        if (length == 0)
            return PYRT_TAR_PAX;
        step = keep_record(pax, text + start, length - start - 1, global, &counted);
        if (step != 0)
            return step;
        text += length;
        size -= length;
    }
    return 0;
}

int pyrt_pax_keep(struct pyrt_pax *pax, enum pyrt_pax_key key, const uint8_t *value, size_t size) {
    struct pyrt_text *text = key == PYRT_PAX_PATH ? &pax->path : &pax->link;
    size_t kept = strnlen((const char *)value, size);

    if (kept > PYRT_MAX_NAME)
        return PYRT_TAR_NAME;
    if (keep_text(pax, value, kept, text) != 0)
        return PYRT_TAR_MEMORY;
    pax->set |= key;
    pax->deleted &= ~(uint32_t)key;
    return 0;
}
