/* Paths of open files, by way of /proc/self/fd. */
#include "keeper.h"

void text_fd_path(char *path, int fd, const char *rest) {
    text_add(text_add_number(text_add(path, "/proc/self/fd/"), (unsigned long)fd), rest);
}

long fd_path(int fd, char *path, size_t size) {
    char name[48];
    text_fd_path(name, fd, "");
    long length = call4(__NR_readlinkat, AT_FDCWD, (long)name, (long)path, (long)size - 1);
    if (length >= (long)size - 1)
        return -ENAMETOOLONG;
    path[length < 0 ? 0 : length] = 0;
    return length;
}
