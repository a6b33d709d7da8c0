#define _GNU_SOURCE
/* Whiteouts in overlay's forms: Linux, Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories". */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "cleanup.h"
#include "extract.h"
#include "layer_step.h"

/* This layer has something under the hidden name, which hides the layers below by itself; a directory would be merged
   with theirs unless it is opaque. */
static int hide_below(const struct pyrt_writer *writer, int parent, const char *hidden) {
    pyrt_fd directory = openat(parent, hidden, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (directory < 0)
        return errno == ENOTDIR || errno == ELOOP ? 0 : -errno;
    return pyrt_make_opaque(&writer->policy, directory) < 0 ? -errno : 0;
}

int pyrt_write_whiteout(struct pyrt_writer *writer, struct pyrt_error *error) {
    const char *hidden = pyrt_writer_base(writer) + PYRT_WHITEOUT_SIZE;
    int parent = pyrt_writer_parent(writer, error);
    int failed;

    if (parent < 0)
        return -1;
    if (mknodat(parent, hidden, S_IFCHR, makedev(0, 0)) == 0)
        return 0;
    if (errno != EEXIST)
        return pyrt_writer_fail(writer, PYRT_LAYER_WHITEOUT, errno, error);
    failed = hide_below(writer, parent, hidden);
    return failed < 0 ? pyrt_writer_fail(writer, PYRT_LAYER_OPAQUE, -failed, error) : 0;
}

int pyrt_write_opaque(struct pyrt_writer *writer, struct pyrt_error *error) {
    int parent = pyrt_writer_parent(writer, error);

    if (parent < 0)
        return -1;
    if (pyrt_make_opaque(&writer->policy, parent) < 0)
        return pyrt_writer_fail(writer, PYRT_LAYER_OPAQUE, errno, error);
    return 0;
}
