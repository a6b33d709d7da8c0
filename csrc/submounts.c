#define _GNU_SOURCE
#include "submounts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "cleanup.h"
#include "walk.h"

#define MOUNT_POINT 4 /* its field in a line of proc_pid_mountinfo(5), from 0 */

/* Spaces and line breaks are written as \ooo. */
static void unescape(char *text) {
    char *to = text;
    for (const char *from = text; *from; to++)
        if (from[0] == '\\' && from[1] && from[2] && from[3]) {
            *to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
            from += 4;
        } else {
            *to = *from++;
        }
    *to = 0;
}

/* One that another mount covers is not found at its place, and by nobody in the container either. */
static int change_mount(const char *path, unsigned long change) {
    pyrt_fd place = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (place < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : -1;
    unsigned long flags = MS_REMOUNT | MS_BIND | change | pyrt_present_flags(place);
    return mount(NULL, pyrt_fd_path(place).text, NULL, flags, NULL) < 0 && errno != EINVAL ? -1 : 0;
}

int pyrt_change_submounts(int top, unsigned long change) {
    char above[PATH_MAX], path[PATH_MAX], chunk[4096];
    ssize_t length = readlink(pyrt_fd_path(top).text, above, sizeof above), got;
    pyrt_fd list = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    if (length < 0 || list < 0)
        return -1;
    size_t size = 0, depth = (size_t)length;
    int field = 0;
    while ((got = read(list, chunk, sizeof chunk)) > 0)
        for (ssize_t i = 0; i < got; i++)
            if (chunk[i] == ' ') {
                field++;
            } else if (field == MOUNT_POINT) {
                if (size + 1 == sizeof path || depth == sizeof above) {
                    errno = ENAMETOOLONG;
                    return -1;
                }
                path[size++] = chunk[i];
            } else if (chunk[i] == '\n') {
                path[size] = 0;
                unescape(path);
                if (strncmp(path, above, depth) == 0 && path[depth] == '/' && change_mount(path, change) < 0)
                    return -1;
                field = 0;
                size = 0;
            }
    return got < 0 ? -1 : 0;
}
