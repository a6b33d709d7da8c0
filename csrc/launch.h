/* Starting a container: a flat list of operations, walked between clone and exec.
 *
 * Theory of operation. Python compiles an OCI spec into operations; pyrt_launch() clones a child that shares our memory
 * (CLONE_VM|CLONE_VFORK: the price does not grow with the caller's heap), and the child walks the list with system calls
 * alone. Its last step executes stage2 from a sealed memfd, which sets ids, capabilities and limits and executes the
 * image's program. What belongs to the caller (its memory, its executable, its fds) is out of reach from then on.
 *
 *   Should:  fail with (errno, step, index of the operation, subject) and leave nothing behind: every mount is made in
 *            the child's own namespace and dies with it.
 *   Mustn't: allocate, take a lock, or touch state of libc in the child; resolve a path of the image by the host's root.
 */
#ifndef PYRT_LAUNCH_H
#define PYRT_LAUNCH_H

#include <stdint.h>

#include "error.h"

/* Steps that an error record names (pyrt_error.step). The words are made in Python (pyrt/_native/launch.py). */
enum pyrt_launch_step {
    PYRT_AT_PREPARE = 301,
    PYRT_AT_USERNS,
    PYRT_AT_CLONE,
    PYRT_AT_CGROUP,
    PYRT_AT_PRIVATE,
    PYRT_AT_SCRATCH,
    PYRT_AT_OVERLAY,
    PYRT_AT_ROOT,
    PYRT_AT_RESOLVE,
    PYRT_AT_MKDIR,
    PYRT_AT_MOUNT,
    PYRT_AT_BIND,
    PYRT_AT_SOURCE,
    PYRT_AT_MASK,
    PYRT_AT_READONLY,
    PYRT_AT_NODE,
    PYRT_AT_SYMLINK,
    PYRT_AT_SYSCTL,
    PYRT_AT_PROC,
    PYRT_AT_HOSTNAME,
    PYRT_AT_LOOPBACK,
    PYRT_AT_CONSOLE,
    PYRT_AT_PIVOT,
    PYRT_AT_FDS,
    PYRT_AT_STAGE2,
    /* reported by stage2 */
    PYRT_AT_PAYLOAD,
    PYRT_AT_LIMITS,
    PYRT_AT_GROUPS,
    PYRT_AT_USER,
    PYRT_AT_CAPABILITIES,
    PYRT_AT_NO_NEW_PRIVILEGES,
    PYRT_AT_SECCOMP,
    PYRT_AT_LABEL,
    PYRT_AT_LANDLOCK,
    PYRT_AT_NOTIFY,
    PYRT_AT_WORKDIR,
    PYRT_AT_INIT,
    PYRT_AT_PARENT,
    PYRT_AT_EXEC
};

enum pyrt_op_kind {
    PYRT_OP_JOIN,     /* target: a file of the host's cgroups that takes the caller in: tasks of a cgroup v1 directory */
    PYRT_OP_CGROUP_NAMESPACE, /* a new one, whose roots are the cgroups that we have been started in, or have joined */
    PYRT_OP_PRIVATE,  /* mount_flags: propagation of the whole tree (MS_REC | MS_PRIVATE or MS_SLAVE) */
    PYRT_OP_SCRATCH,  /* target: the container's host directory; data: options of a tmpfs that covers it, gone with the mount
                         namespace */
    PYRT_OP_SCRATCH_DIRECTORY, /* target: a host directory below it, made where it is missing; mode */
    PYRT_OP_SCRATCH_FILE,      /* target: a host file below it, replaced; data: its content; mode */
    PYRT_OP_OVERLAY,  /* source: lower directories, NUL between them and two at the end, uppermost first;
                         target: upper directory or NULL for a read-only root; data: work directory; flags: VOLATILE;
                         mount_flags */
    PYRT_OP_ROOT,     /* source: a directory that becomes the root as it is; flags: READ_ONLY */
    PYRT_OP_MOUNT,    /* source: file system type; target; data: options; mount_flags; flags: REAL_DIRECTORY; mode */
    PYRT_OP_BIND,     /* source: host path; target; mount_flags: propagation; flags: RECURSIVE READ_ONLY ... */
    PYRT_OP_VOLUME,   /* target: a mount of the place on itself, which PYRT_OP_REMOUNT_ROOT does not close */
    PYRT_OP_MASK,     /* target, nothing where it is missing */
    PYRT_OP_READONLY, /* target, nothing where it is missing */
    PYRT_OP_REMOUNT_ROOT, /* the root read-only, after everything has been put into it */
    PYRT_OP_NODE,     /* target below /dev; mode with its S_IFMT bits; device; uid and gid */
    PYRT_OP_SYMLINK,  /* target below /dev; source: what it points to */
    PYRT_OP_MKDIR,    /* target; mode; uid; gid: the missing directories of the path, in the root, or in the
                         host's directory that source names */
    PYRT_OP_PROC,     /* a procfs of its own for stage2, to write the label to */
    PYRT_OP_SYSCTL,   /* target: path below /proc/sys; data: the value */
    PYRT_OP_HOSTNAME, /* data */
    PYRT_OP_DOMAINNAME,
    PYRT_OP_LOOPBACK, /* lo up */
    PYRT_OP_CONSOLE,  /* a pty of the container's own devpts on 0, 1, 2 and /dev/console; uid: its owner; mode: its
                         size, rows << 16 | columns, 0 for none */
    PYRT_OP_PIVOT,
    /* where nothing can be mounted, and a keeper serves what others mount (keeper.c) */
    PYRT_OP_DIRECTORY, /* source: a directory that is the root as it is */
    PYRT_OP_PLACE,     /* target: a place for what is served from source, a host path, or for a directory; data: the host path
                          that what is in it is moved to, NULL to leave it there; mode; flags: REAL_DIRECTORY OPTIONAL */
    PYRT_OP_FILE,      /* target: a file in the root, in the place of what is there; data: its content; mode */
    PYRT_OP_SCRATCH_LINK /* target: a host path below the container's own directory; source: what it points to */
};

enum pyrt_op_flag {
    PYRT_REAL_DIRECTORY = 1, /* the target is a directory itself, no link anywhere on the way */
    PYRT_READ_ONLY = 2,
    PYRT_RECURSIVE = 4,
    PYRT_VOLATILE = 8,
    PYRT_NOSUID = 16,
    PYRT_NODEV = 32,
    PYRT_NOEXEC = 64,
    PYRT_USERXATTR = 128,
    PYRT_OPTIONAL = 256, /* a file system type that this kernel lacks is no error */
    PYRT_ON_PROC = 512,  /* this one target may lie on procfs */
    PYRT_HOST_TERMINAL = 1024 /* a pty of the host's devpts */
};

struct pyrt_op {
    uint32_t kind;
    uint32_t flags;
    uint32_t mode;
    uint32_t uid;
    uint32_t gid;
    uint32_t target; /* texts are offsets into the launch's texts, 0 for none: an operation is the same at any address */
    uint32_t source;
    uint32_t data;
    uint64_t device; /* makedev(3) */
    uint64_t mount_flags; /* MS_*, mount(2) */
};

struct pyrt_launch {
    const struct pyrt_op *ops;
    uint32_t nops;
    const char *texts;    /* NUL-terminated strings, one after the other; the first is empty */
    uint64_t namespaces;  /* CLONE_NEW*, clone(2) */
    const char *newroot;  /* an empty host directory to mount the root on */
    int32_t userns;       /* a user namespace to start in, or -1 for the caller's own */
    int32_t cgroup;       /* a cgroup2 directory to start in (CLONE_INTO_CGROUP, or joined by the child), or -1 */
    int32_t stage2;       /* the sealed program, see pyrt_sealed_memfd() */
    int32_t payload;      /* the sealed payload of stage2, payload.h */
    int32_t keeper;       /* the sealed program that stands before stage2, or -1; the next two are for it (keeper_table.h) */
    int32_t control;      /* the reading end of its pipe */
    int32_t table;        /* its sealed table */
    int32_t stdio[3];     /* what becomes 0, 1 and 2; ignored where an operation makes a console */
    char *const *argv;
    char *const *envp;
};

struct pyrt_started {
    int32_t pid;    /* in the caller's pid namespace */
    int32_t pidfd;  /* the caller closes it */
    int32_t master; /* the pty's master, or -1; the caller closes it */
};

/* Starts a container. Returns 0 when the image's program has been executed, else -1 with the error filled in and the
 * child reaped. Blocks all signals of the calling thread meanwhile. */
int pyrt_launch(const struct pyrt_launch *launch, struct pyrt_started *started, struct pyrt_error *error);

/* A memfd with these bytes, sealed against every change (memfd_create(2), F_SEAL_*), O_CLOEXEC. Returns -1 and errno. */
int pyrt_sealed_memfd(const char *name, const void *bytes, uint64_t size);

#endif
