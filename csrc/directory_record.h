/* What getdents64(2) fills in: libc's readdir would allocate a buffer for each level of a tree. */
#ifndef PYRT_DIRECTORY_RECORD_H
#define PYRT_DIRECTORY_RECORD_H

#include <stdint.h>

struct pyrt_directory_record {
    uint64_t inode;
    int64_t offset;
    unsigned short size;
    unsigned char type;
    char name[];
};

#endif
