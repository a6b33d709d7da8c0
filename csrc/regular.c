#define _GNU_SOURCE
/* Regular files: opened exclusively, written as the bytes come, closed with their attributes. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "cleanup.h"
#include "extract.h"
#include "layer_step.h"

#define NEW_FILE (O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC)
/* Files of at least so many bytes go to the disk while the next ones are unpacked; and large ones in such steps. The rest
   is left to the syncfs at the end of a pull: a call for each small file costs more than it hides. */
#define WRITE_OUT_FROM ((uint64_t)1 << 15)
#define WRITE_OUT_STEP ((uint64_t)4 << 20)

int pyrt_open_regular(struct pyrt_writer *writer, struct pyrt_error *error) {
    const struct pyrt_attributes *attributes = &writer->entry->attributes;
    int parent = pyrt_writer_parent(writer, error);

    if (parent < 0)
        return -1;
    /* Without special bits, which chown would take away again; and writable where user.* xattrs will be set, because
       the kernel asks the mode, not the fd. */
    writer->created_mode = attributes->xattr_count > 0 ? 0600 : attributes->mode & 0777;
    writer->file = openat(parent, pyrt_writer_base(writer), NEW_FILE, (mode_t)writer->created_mode);
    if (writer->file < 0 && errno == EEXIST) {
        parent = pyrt_writer_replace(writer, parent, error);
        if (parent < 0)
            return -1;
        writer->file = openat(parent, pyrt_writer_base(writer), NEW_FILE, (mode_t)writer->created_mode);
    }
    writer->written = 0;
    return writer->file < 0 ? pyrt_writer_fail(writer, PYRT_LAYER_OPEN, errno, error) : 0;
}

/* Only begins (sync_file_range(2): WRITE alone waits for nothing); where that does not work, syncfs does it all. */
static void start_write_out(int fd) {
    (void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

int pyrt_write_data(void *self, const uint8_t *bytes, size_t size, uint64_t offset, struct pyrt_error *error) {
    struct pyrt_writer *writer = self;

    if (writer->file < 0)
        return 0;
    while (size > 0) {
        ssize_t written = pwrite(writer->file, bytes, size, (off_t)offset);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return pyrt_writer_fail(writer, PYRT_LAYER_WRITE, written < 0 ? errno : EIO, error);
        bytes += written;
        size -= (size_t)written;
        offset += (uint64_t)written;
    }
    if (offset / WRITE_OUT_STEP != writer->written / WRITE_OUT_STEP)
        start_write_out(writer->file);
    writer->written = offset;
    return 0;
}

static int close_file(struct pyrt_writer *writer) {
    int fd = pyrt_take(&writer->file);

    if (writer->written >= WRITE_OUT_FROM)
        start_write_out(fd);
    /* The fd is gone whatever close says (close(2)); EINTR is no failure to write. */
    return close(fd) < 0 && errno != EINTR ? PYRT_LAYER_CLOSE : 0;
}

int pyrt_close_regular(void *self, struct pyrt_error *error) {
    struct pyrt_writer *writer = self;
    const struct pyrt_entry *entry = writer->entry;
    int step = 0;

    if (writer->file < 0)
        return 0;
    if (entry->size > writer->written && ftruncate(writer->file, (off_t)entry->size) < 0)
        step = PYRT_LAYER_WRITE;
    step = step ? step : pyrt_set_file(&writer->policy, writer->file, &entry->attributes, writer->created_mode);
    step = step ? step : close_file(writer);
    return step ? pyrt_writer_fail(writer, step, errno, error) : 0;
}
