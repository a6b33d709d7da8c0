/* The name of an entry as a path below the root, and what a name that starts with ".wh." asks for. Pure. */
#ifndef PYRT_ENTRY_NAME_H
#define PYRT_ENTRY_NAME_H
#include <stddef.h>

#include "bounds.h"

/* "a/b/c": no empty component, no ".", no ".."; "" is the root. */
struct pyrt_name {
    char text[PYRT_MAX_NAME + 1];
    size_t size;
    size_t parent; /* size of the directory part, 0 for the root */
    size_t base;   /* offset of the last component */
};

/* 0 or a negative errno: EINVAL for "..", ENAMETOOLONG. */
int pyrt_name_set(struct pyrt_name *name, const char *text, size_t size);

enum pyrt_whiteout {
    PYRT_NO_WHITEOUT,
    PYRT_HIDES,       /* ".wh.NAME": NAME of the layers below is hidden */
    PYRT_OPAQUE,      /* ".wh..wh..opq": everything below its directory is hidden */
    PYRT_AUFS,        /* ".wh..wh.*" and what is below: metadata of AUFS, nobody's business */
    PYRT_BAD_WHITEOUT /* without a NAME that can be hidden, or used as a directory */
};

#define PYRT_WHITEOUT_PREFIX ".wh."
#define PYRT_WHITEOUT_SIZE 4

/* OCI image-spec, layer.md, "Whiteouts". */
enum pyrt_whiteout pyrt_whiteout_of(const struct pyrt_name *name);

#endif
