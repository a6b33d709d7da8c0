/* Owner, mode, times and extended attributes, always by fd or with AT_SYMLINK_NOFOLLOW. */
#ifndef PYRT_METADATA_H
#define PYRT_METADATA_H
#include <stdbool.h>
#include <sys/types.h>

#include "entry.h"

/* What is known about the files that this thread makes, so that system calls that change nothing can be left out. */
struct pyrt_policy {
    bool chown;         /* owners are set at all */
    bool no_devices;    /* an empty file stands for each device */
    bool umask_is_zero; /* open and mkdir give the mode that they are asked for */
    bool owner_is_known; /* a new file belongs to uid and gid below, and no default ACL changes its mode */
    uid_t uid;
    gid_t gid;
    bool trusted_xattr, user_xattr; /* by which of overlay's forms a directory is made opaque */
};

/* Looks at the layer's root once. 0 or a negative errno. */
int pyrt_policy_init(struct pyrt_policy *policy, int root);

bool pyrt_owner_differs(const struct pyrt_policy *policy, const struct pyrt_attributes *attributes);

/* False for xattrs that are left out: overlay's own, and labels of security modules. */
bool pyrt_xattr_is_wanted(const char *name);
/* ACLs of a directory must wait for its last child, which would inherit them; every other xattr need not. */
bool pyrt_xattr_waits(const char *name);

/* Each returns 0, or the step (enum pyrt_layer_step) that failed, with errno. `as_created` is the mode that the file
   was created with. */
int pyrt_set_file(const struct pyrt_policy *policy, int fd, const struct pyrt_attributes *attributes,
                  uint32_t as_created);
/* At once, for a directory: the xattrs that need not wait. */
int pyrt_set_early(const struct pyrt_policy *policy, int fd, const struct pyrt_attributes *attributes);
int pyrt_set_directory(const struct pyrt_policy *policy, int fd, const struct pyrt_attributes *attributes);
/* For what cannot be opened: symbolic links (which have no mode), FIFOs and devices. */
int pyrt_set_node(const struct pyrt_policy *policy, int parent, const char *name,
                  const struct pyrt_attributes *attributes, bool has_mode);
/* What mkdir asked for, where the umask may have taken bits away. 0 or the step. */
int pyrt_set_made_mode(const struct pyrt_policy *policy, int parent, const char *name, uint32_t mode);
/* 0755 0:0, for directories that no entry has named. */
int pyrt_set_implied(const struct pyrt_policy *policy, int parent, const char *name);

#endif
