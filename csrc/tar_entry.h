/* From a header and the extensions before it to one entry. */
#ifndef PYRT_TAR_ENTRY_H
#define PYRT_TAR_ENTRY_H
#include "tar.h"

/* What follows in the archive is said by the typeflag and the sizes. */
enum pyrt_tar_plan {
    PYRT_TAR_EMIT,      /* an entry, its data if it has any */
    PYRT_TAR_IGNORE,    /* a volume label or a socket: drop its data */
    PYRT_TAR_OLD_MAP,   /* a sparse file whose map goes on in the next block */
    PYRT_TAR_TEXT_MAP   /* a sparse file whose map stands before its data */
};

/* Fills tar->entry and tar->left from tar->header, tar->local and tar->global. 0, or a step of layer_step.h. */
int pyrt_tar_merge(struct pyrt_tar *tar, enum pyrt_tar_plan *plan);

#endif
