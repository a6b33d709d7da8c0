/* Where unpacking a layer can fail: the first part is raised by the tar parser, the second by the writer. */
#ifndef PYRT_LAYER_STEP_H
#define PYRT_LAYER_STEP_H

enum pyrt_layer_step {
    PYRT_TAR_CHECKSUM = 100, /* a block where a header must be has a wrong checksum */
    PYRT_TAR_NUMBER,         /* a numeric field that is no number, negative or too large */
    PYRT_TAR_TYPE,           /* a typeflag that no layer may have */
    PYRT_TAR_PAX,            /* a malformed pax record, or one that is not allowed there */
    PYRT_TAR_SPARSE,         /* a sparse map that overlaps, overflows or does not fit its data */
    PYRT_TAR_EXTENSION,      /* too large, too many, or without an entry after them */
    PYRT_TAR_NAME,           /* a name or link target that is missing, too long or has a NUL in it */
    PYRT_TAR_TRUNCATED,      /* the bytes end in the middle of an entry */
    PYRT_TAR_MEMORY,

    PYRT_LAYER_NAME = 200, /* a name with "..", or a whiteout without a usable name */
    PYRT_LAYER_ROOT,       /* an entry for the root that is not a directory */
    PYRT_LAYER_LIMIT,      /* more entries or bytes than the caller allows */
    PYRT_LAYER_DEVICE,     /* a character device 0:0, which overlay takes for a whiteout */
    PYRT_LAYER_PARENT,     /* resolving or making the parent directory */
    PYRT_LAYER_REPLACE,    /* removing what the entry replaces */
    PYRT_LAYER_OPEN,
    PYRT_LAYER_WRITE,
    PYRT_LAYER_MKDIR,
    PYRT_LAYER_SYMLINK,
    PYRT_LAYER_LINK,
    PYRT_LAYER_MKNOD,
    PYRT_LAYER_WHITEOUT,
    PYRT_LAYER_OPAQUE,
    PYRT_LAYER_CHOWN,
    PYRT_LAYER_CHMOD,
    PYRT_LAYER_XATTR,
    PYRT_LAYER_TIMES,
    PYRT_LAYER_CLOSE,
    PYRT_LAYER_MEMORY
};

#endif
