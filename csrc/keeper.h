/* What the files of the keeper know of each other. One thread, one container; no libc, no allocation. Functions return 0 or a
 * result, or a negative errno, as the kernel does. */
#ifndef PYRT_KEEPER_H
#define PYRT_KEEPER_H

#include <linux/capability.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <stddef.h>
#include <stdint.h>

#include "freestanding_calls.h"
#include "freestanding_text.h"
#include "keeper_table.h"

#define PATH_SIZE 4096 /* PATH_MAX */
#define NAME_SIZE 256
#define IS(mode, type) (((mode) & 0170000) == (type))
#define LINK 0120000
#define DIRECTORY 0040000
#define REGULAR 0100000
#define FIFO 0010000
#define CHARACTER 0020000
#define BLOCK 0060000

#define UNKNOWN 1   /* not ours to answer: the call goes on natively */
#define ANSWERED 2  /* the answer has been sent already */

/* One thing that the container sees elsewhere than it is. The first one is the root. */
struct place {
    int fd;                /* O_PATH */
    unsigned mode, flags;  /* what it is; PYRT_PLACE_* */
    const char *target;    /* the container's path, without links; "" for the root */
    size_t target_size;
    const char *source;    /* the host's path, without links */
    size_t source_size;
    const char *name;      /* the last component of target */
};

struct keeper {
    int listener, proc, program, self;
    int reads_memory;      /* whether process_vm_readv(2) may be called */
    int nested;            /* whether somebody in the container has changed his root */
    int inside;            /* whether somebody has changed to a directory that is served */
    int volumes;           /* whether any place may have programs */
    int nplaces;
    uint64_t capabilities; /* our own, permitted */
    int ngroups;
    uint32_t groups[256];
    struct place places[PYRT_KEEPER_MAX_PLACES + 1];
};
extern struct keeper keeper;

/* Who asks: a thread of the container, with the rights that it has (credentials(7)). */
struct asker {
    uint64_t id; /* of the notification */
    int tid, tgid;
    int known;   /* whether the rest has been read */
    uint32_t umask, uid[4], gid[4]; /* real, effective, saved, of the file system */
    uint64_t effective;
    int ngroups;
    uint32_t groups[256];
};

/* keeper_fd.c */
/* "/proc/self/fd/N" and what comes after it. */
void text_fd_path(char *path, int fd, const char *rest);
/* The path of an open file, as it is now: readlink of /proc/self/fd/N. Its length, or a negative errno. */
long fd_path(int fd, char *path, size_t size);

/* keeper_asker.c */
int asker_valid(const struct asker *asker);
int asker_reads_memory(void);
/* The text at an address of the asker, terminated; its length, -ENAMETOOLONG, or -EFAULT where it cannot be read. */
long asker_text(struct asker *asker, uint64_t address, char *text, size_t size);
long asker_read(struct asker *asker, uint64_t address, void *to, size_t size);
long asker_write(struct asker *asker, uint64_t address, const void *from, size_t size);
/* Reads of /proc who it is. */
long asker_look(struct asker *asker);
/* From here to asker_leave(), which says whose they were, we have the asker's rights on files, and not more. */
long asker_become(struct asker *asker);
struct asker *asker_leave(void);
/* Whether this process has been started by the program, or by something that it has started. */
int is_ours(int pid);
/* A link of /proc/TID ("cwd", "root"), or of its fd; the length or a negative errno. */
long asker_link(const struct asker *asker, const char *name, int fd, char *path, size_t size);

/* keeper_path.c */
struct found {
    int parent;            /* O_PATH, -1 where it is a place itself */
    int fd;                /* O_PATH of what it is, -1 where it is missing */
    unsigned mode;         /* 0 where it is missing */
    int place;             /* index of the one that it is in */
    int crossed;           /* whether the way led through a place that is served */
    int magic;             /* a link of /proc that leads to no path: to be opened by its name */
    int slash;             /* the path ends in a slash */
    char name[NAME_SIZE];  /* in parent */
    char path[PATH_SIZE];  /* the container's, without links; "" for the root */
};
enum {
    FOLLOW = 1, /* the last link, too */
    MIRROR = 2, /* the kernel shall find the same in the root */
    QUICK = 4,  /* nothing is changed: what the kernel can find by itself needs no look */
    LOOK = 8    /* no more than a look at what it is */
};
/* Looks a path of the asker up. UNKNOWN where the kernel finds the same by itself; else 0, also for what is missing in a
 * directory that is there; or a negative errno. found is to be closed whatever the result. */
long find(struct asker *asker, int dirfd, const char *path, unsigned how, struct found *found);
void found_close(struct found *found);
/* The container's path of a host's path; 0 where the container has none. */
size_t path_inside(const char *host, char *inside, size_t size);
int place_of(const char *path);
/* An fd of a directory of the container, by its path without links. */
int open_directory(const char *path);

/* keeper_mirror.c: the root has, below the place of a volume, what the kernel must find there by itself. */
long mirror_entry(const struct found *where, const char *name, unsigned mode, const char *link);
/* A copy of the program, and of what the kernel needs to run it. UNKNOWN where the kernel finds all that by itself. */
long mirror_program(struct asker *asker, const struct found *found);
/* The mirror follows a change, so that whoever works in such a directory goes along with it; nothing where there is none. */
void mirror_removed(const struct found *found);
void mirror_renamed(const struct found *from, const struct found *to);

/* keeper_calls.c */
struct seccomp_data;
/* Answers one system call: 0 or more with *value, UNKNOWN, ANSWERED, or a negative errno. */
long serve(struct asker *asker, const struct seccomp_data *data, long *value);

/* keeper_open.c */
struct seccomp_notif_addfd;
long serve_open(struct asker *asker, struct found *found, uint64_t flags, uint64_t mode);

/* keeper_kill.c */
/* SIGKILL for everything that has been started below us, and reaps it, until nothing is left. */
void kill_tree(void);
/* Reaps what has ended; the exit code of the program once it has, else -1. */
int reap_ended(void);

/* keeper_landlock.c */
long restrict_files(void);

#endif
