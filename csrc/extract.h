/* The writer: entries in, files out. It knows no tar header.

   Theory of operation. The parent of an entry is resolved inside the root and kept open for the next one; the entry
   itself is made in it by its last component, exclusively and without following a link. A small file costs open,
   write, utimensat and close, and fchown or fchmod only where the file does not have the right owner or mode from the
   start. Directories get their attributes at the end (deferred.h).

   Whiteouts take overlay's forms. They only concern the layers below: what the same layer has under that name stays,
   whichever came first. */
#ifndef PYRT_EXTRACT_H
#define PYRT_EXTRACT_H
#include "deferred.h"
#include "directories.h"
#include "entry.h"
#include "entry_name.h"
#include "metadata.h"

struct pyrt_writer {
    int root; /* borrowed */
    struct pyrt_policy policy;
    struct pyrt_allowance allowance; /* set by the caller, as is max_bytes */
    uint64_t max_bytes;
    uint64_t entries;
    uint64_t bytes; /* sum of apparent sizes */
    struct pyrt_directories directories;
    struct pyrt_deferred_list deferred;
    const struct pyrt_entry *entry; /* at hand */
    struct pyrt_name name;          /* of the entry at hand */
    int file;                       /* open regular file, -1 where there is none */
    uint32_t created_mode;
    uint64_t written; /* end of the last data */
};

/* 0, or -1 with the error filled. The policy's chown, umask_is_zero and xattr forms are set by the caller before. */
int pyrt_writer_init(struct pyrt_writer *writer, int root, bool by_walk, struct pyrt_error *error);
struct pyrt_sink pyrt_writer_sink(struct pyrt_writer *writer);
/* Sets the attributes of directories. */
int pyrt_writer_finish(struct pyrt_writer *writer, struct pyrt_error *error);
void pyrt_writer_free(struct pyrt_writer *writer);

/* For the parts of the writer (node.c, regular.c). */
int pyrt_writer_fail(const struct pyrt_writer *writer, int step, int err, struct pyrt_error *error);
/* The open directory that the entry belongs into, or -1 with the error filled. */
int pyrt_writer_parent(struct pyrt_writer *writer, struct pyrt_error *error);
/* Removes what has the entry's name in the parent. Gives the parent's fd again, which may be another one now. */
int pyrt_writer_replace(struct pyrt_writer *writer, int parent, struct pyrt_error *error);
static inline const char *pyrt_writer_base(const struct pyrt_writer *writer) {
    return writer->name.text + writer->name.base;
}

/* Keeps the attributes of the entry's directory for the end; xattrs are set now. */
int pyrt_writer_defer(struct pyrt_writer *writer, int directory, struct pyrt_error *error);

/* node.c: everything but regular files. */
int pyrt_write_directory(struct pyrt_writer *writer, struct pyrt_error *error);
int pyrt_write_symlink(struct pyrt_writer *writer, struct pyrt_error *error);
int pyrt_write_hardlink(struct pyrt_writer *writer, struct pyrt_error *error);
int pyrt_write_node(struct pyrt_writer *writer, struct pyrt_error *error);
/* whiteout.c */
int pyrt_write_whiteout(struct pyrt_writer *writer, struct pyrt_error *error);
int pyrt_write_opaque(struct pyrt_writer *writer, struct pyrt_error *error);
/* regular.c */
int pyrt_open_regular(struct pyrt_writer *writer, struct pyrt_error *error);
int pyrt_write_data(void *self, const uint8_t *bytes, size_t size, uint64_t offset, struct pyrt_error *error);
int pyrt_close_regular(void *self, struct pyrt_error *error);

#endif
