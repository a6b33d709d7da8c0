/* What the launcher tells stage2: one sealed memfd on a fixed fd. Header, then the tables, each at its offset.
 *
 * Both sides are built from this header; the magic and the size are checked, so that stage2 refuses to do anything when
 * it is executed again from inside a container (/proc/self/exe) without it.
 */
#ifndef PYRT_PAYLOAD_H
#define PYRT_PAYLOAD_H

#include <stdint.h>

enum pyrt_payload_constant {
    PYRT_PAYLOAD_MAGIC = 0x32747970, /* "pyt2" */
    PYRT_PAYLOAD_VERSION = 1,
    PYRT_PAYLOAD_FD = 3,
    PYRT_STATUS_FD = 4,
    PYRT_STAGE2_FD = 5,
    PYRT_PROC_FD = 6 /* a procfs of our own, where there is a label to write */
};

enum pyrt_payload_flag {
    PYRT_NO_NEW_PRIVILEGES = 1,
    PYRT_WITH_INIT = 2,        /* stay as PID 1, reap, forward signals */
    PYRT_DIE_WITH_PARENT = 4,  /* PR_SET_PDEATHSIG */
    PYRT_CONTROLLING_TTY = 8,  /* fd 0 becomes the controlling terminal */
    PYRT_KEEP_KEYRING = 16,    /* do not join a session keyring of its own */
    PYRT_LABEL_LAST = 32,      /* the label is in force at once, and may forbid what stage2 does */
    PYRT_KEEP_GROUPS = 64      /* the caller's supplementary groups stay: a user namespace with a single id has no others */
};

struct pyrt_payload {
    uint32_t magic;
    uint32_t version;
    uint64_t size; /* of the whole payload */
    uint32_t flags;
    uint32_t uid;
    uint32_t gid;
    uint32_t umask;
    uint64_t bounding;    /* capability bits, capabilities(7) */
    uint64_t permitted;   /* = effective */
    uint64_t ambient;     /* = inheritable */
    uint32_t ngroups;
    uint32_t groups;      /* offset of uint32_t[ngroups] */
    uint32_t nlimits;
    uint32_t limits;      /* offset of struct pyrt_limit[nlimits] */
    uint32_t nfilter;
    uint32_t filter;      /* offset of struct sock_filter[nfilter] */
    uint32_t workdir;     /* offset of a string */
    uint32_t ncandidates;
    uint32_t candidates;  /* offset of strings, one after the other: the paths to try in turn */
    uint32_t last_capability; /* /proc/sys/kernel/cap_last_cap */
    uint32_t label;       /* offset of the words for the security module, 0 for none */
    uint32_t label_files; /* offset of strings, one after the other, the last one empty: where the words go, below procfs */
    uint32_t nnotify;
    uint32_t notify;      /* offset of struct sock_filter[nnotify]: the calls that a keeper answers, none without one */
};

enum pyrt_limit_how {
    PYRT_LIMIT_EXACT = 0,
    PYRT_LIMIT_AT_MOST = 1,     /* lower what is higher, and leave the rest */
    PYRT_LIMIT_IF_POSSIBLE = 2  /* no error where a hard limit is in the way */
};

struct pyrt_limit {
    uint32_t resource; /* RLIMIT_* */
    uint32_t how;      /* enum pyrt_limit_how */
    uint64_t soft;
    uint64_t hard;
};

#endif
