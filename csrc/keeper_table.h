/* What the launcher tells the keeper (keeper.c): one sealed memfd on a fixed fd. Header, then the places, then the texts. */
#ifndef PYRT_KEEPER_TABLE_H
#define PYRT_KEEPER_TABLE_H

#include <stdint.h>

enum pyrt_keeper_constant {
    PYRT_KEEPER_MAGIC = 0x6b747970, /* "pytk" */
    PYRT_KEEPER_VERSION = 1,
    PYRT_KEEPER_MAX_PLACES = 128,
    /* fds that the keeper is executed with, beside stage2's own (payload.h) */
    PYRT_KEEPER_ROOT_FD = 6,    /* the container's root, O_PATH */
    PYRT_KEEPER_CONTROL_FD = 7, /* a byte or the end of file there ends the container at once */
    PYRT_KEEPER_TABLE_FD = 8,
    PYRT_KEEPER_FD = 9,         /* the program itself */
    /* an fd that stage2 gets from the keeper */
    PYRT_LISTENER_FD = 6        /* a socket: the listener of the filter goes there */
};

enum pyrt_keeper_flag {
    PYRT_KEEP_LANDLOCK = 1 /* the program and all its children may open nothing but the root and the places */
};

enum pyrt_place_flag {
    PYRT_PLACE_READ_ONLY = 1,
    PYRT_PLACE_DEVICES = 2,  /* device nodes in it open */
    PYRT_PLACE_PROC = 4,     /* it is procfs: /proc/self is who asks, and the processes of others are not there */
    PYRT_PLACE_OPTIONAL = 8, /* nothing where source or target is missing */
    PYRT_PLACE_ABSENT = 32,  /* the root need not have anything there */
    PYRT_PLACE_OURS = 16     /* what is in the root at this place has been made by us, and may be replaced */
};

struct pyrt_keeper_place {
    uint32_t flags;
    uint32_t target; /* offset of a path of the container */
    uint32_t source; /* offset of a path of the host */
    uint32_t empty;  /* offset of an empty directory of the host, served instead of a source that is a directory; 0 for none */
};

struct pyrt_keeper_table {
    uint32_t magic;
    uint32_t version;
    uint64_t size; /* of the whole table */
    uint32_t flags;
    uint32_t nplaces;
    uint32_t places; /* offset of struct pyrt_keeper_place[nplaces] */
    uint32_t unused;
};

#endif
