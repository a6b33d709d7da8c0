/* The child's side of a start: walks the operations of a launch, in a process that shares the caller's memory. */
#ifndef PYRT_WALK_H
#define PYRT_WALK_H

#include "launch.h"

#define PYRT_PROC_MAGIC 0x9fa0 /* PROC_SUPER_MAGIC, linux/magic.h */

enum pyrt_own_mount { PYRT_OWN_PROC, PYRT_OWN_SYS, PYRT_OWN_DEV, PYRT_OWN_MOUNTS };

/* The operation at hand, with its texts. */
struct pyrt_step {
    uint32_t kind, flags, mode, uid, gid;
    uint64_t device, mount_flags;
    const char *target, *source, *data; /* NULL where there is none */
};

struct pyrt_walk {
    const struct pyrt_launch *launch;
    struct pyrt_error *error; /* in the caller's memory: CLONE_VM */
    int root;                 /* O_PATH of the container's root, -1 before there is one */
    int null;                 /* O_PATH of its /dev/null, verified, -1 before it is needed */
    int console;              /* where the pty's master goes, SCM_RIGHTS */
    int terminal;             /* the pty's slave, -1 without one */
    int proc;                 /* the procfs that stage2 gets, -1 for none */
    int sysctls;              /* a procfs of ours to write them to, -1 before it is needed */
    int own[PYRT_OWN_MOUNTS]; /* O_PATH of the /proc, /sys and /dev that we have mounted, -1 where there is none */
    int index;                /* of the operation at hand */
};

/* Where a path of the container is resolved from: below one of our own three mounts from the mount itself, so that nobody
 * who renames things in a shared root can come between; else from the root. */
struct pyrt_place {
    int root;
    const char *path; /* from there */
};
struct pyrt_place pyrt_place_of(const struct pyrt_walk *walk, const char *path);

/* Records a failure of the operation at hand, with errno, and returns -1. */
int pyrt_walk_fail(struct pyrt_walk *walk, int step, const char *subject);

/* Writes all of a text: 0, or -1 and errno, ENOSPC where not all of it was taken. */
int pyrt_write_text(int fd, const char *text);

/* Moves the calling process into a cgroup, by a file of it below the directory fd: cgroup.procs, or tasks of v1. The
 * latter never waits for an RCU grace period (7 ms), and is the same for a process with one thread. Returns 0, or -1 and errno. */
int pyrt_join_cgroup(int directory, const char *file);

/* Carries out every operation. Returns 0, or -1 with walk->error filled in. */
int pyrt_walk_operations(struct pyrt_walk *walk);

/* mounts.c: one function per kind of operation. */
int pyrt_mount_overlay(struct pyrt_walk *walk, const struct pyrt_step *op);
int pyrt_mount_root(struct pyrt_walk *walk, const struct pyrt_step *op);
int pyrt_mount_filesystem(struct pyrt_walk *walk, const struct pyrt_step *op);
int pyrt_mount_bind(struct pyrt_walk *walk, const struct pyrt_step *op);
int pyrt_mount_volume(struct pyrt_walk *walk, const struct pyrt_step *op);
int pyrt_mount_mask(struct pyrt_walk *walk, const struct pyrt_step *op);
int pyrt_mount_readonly(struct pyrt_walk *walk, const struct pyrt_step *op);
int pyrt_remount_root(struct pyrt_walk *walk, const struct pyrt_step *op);
int pyrt_pivot(struct pyrt_walk *walk, const struct pyrt_step *op);
/* The MS_* flags of the mount that an fd is on, for MS_REMOUNT, which replaces all of them. */
unsigned long pyrt_present_flags(int fd);
/* Mounts what src is (a file or a directory) on target, both O_PATH fds, with the flags of the operation. */
int pyrt_bind_fd(struct pyrt_walk *walk, const struct pyrt_step *op, int source, int target, int step);

/* place.c: what a keeper serves. */
int pyrt_open_root_directory(struct pyrt_walk *walk, const struct pyrt_step *op);
int pyrt_make_place(struct pyrt_walk *walk, const struct pyrt_step *op);
int pyrt_write_file(struct pyrt_walk *walk, const struct pyrt_step *op);

/* console.c */
int pyrt_open_console(struct pyrt_walk *walk, const struct pyrt_step *op);

/* inroot.c: what is made inside the root. */
#define PYRT_OWNER_STAYS ((uint32_t)-1) /* for uid and gid: whoever makes it; a user namespace may have no id 0 */
/* The directory at path, with the missing ones made (mode, uid, gid); O_PATH. Dangling links are made in the root. */
int pyrt_make_directories(struct pyrt_walk *walk, const char *path, uint32_t mode, uint32_t uid, uint32_t gid);
/* The file at path, made empty where it is missing; O_PATH. */
int pyrt_make_file(struct pyrt_walk *walk, const char *path);
/* The directory that holds path's last component, O_PATH; *name points into path at that component. */
int pyrt_open_parent(struct pyrt_walk *walk, const char *path, const char **name);
/* "/proc/self/fd/N" for system calls that take a path and no fd. */
struct pyrt_fd_path {
    char text[32];
};
struct pyrt_fd_path pyrt_fd_path(int fd);

#endif
