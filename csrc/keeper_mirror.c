/* The shadow of served places in the root itself, for what only the kernel can do: change to a directory, execute a program.
 * Below a place the root gets, when somebody goes there, the directories and links of his way, and copies of the programs that
 * he executes. The kernel works on these; /proc/PID/cwd then has the container's own path, and it is inherited like any other. */
#include <asm/ioctl.h>
#include <asm/stat.h>
#include <linux/fs.h>

#include "keeper.h"

#define COPIES 512
#define PROCESSES 64
#define MAX_INTERPRETERS 5
#define NEW_NAME ".pyrt-new"

/* Of what file the copy at this place has been made. */
static struct copy {
    uint64_t hash, device, inode, changed, changed_ns;
} copies[COPIES];

static int native_directory(const char *path) {
    char name[NAME_SIZE];
    long fd = call3(__NR_fcntl, keeper.places[0].fd, F_DUPFD_CLOEXEC, 0);
    while (fd >= 0) {
        size_t size = 0;
        while (*path == '/')
            path++;
        if (!*path)
            break;
        for (; path[size] && path[size] != '/' && size + 1 < NAME_SIZE; size++)
            name[size] = path[size];
        name[size] = 0;
        path += size;
        long next = call4(__NR_openat, fd, (long)name, O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC, 0);
        call1(__NR_close, fd);
        fd = next;
    }
    return (int)fd;
}

/* Whoever executes /proc/self/exe leaves a directory there (busybox does it for each of its programs): those of the dead go. */
static void forget_process(int pid) {
    static int pids[PROCESSES], next;
    static const char *const links[] = {"exe", "cwd", "root"};
    char path[32];
    int old = pids[next];
    if (pids[(next + PROCESSES - 1) % PROCESSES] == pid)
        return;
    pids[next] = pid;
    next = (next + 1) % PROCESSES;
    if (!old || call2(__NR_kill, old, 0) != -ESRCH)
        return;
    text_add_number(text_add(path, "/proc/"), (unsigned long)old);
    int directory = native_directory(path);
    for (size_t i = 0; directory >= 0 && i < sizeof links / sizeof *links; i++)
        call3(__NR_unlinkat, directory, (long)links[i], 0);
    if (directory >= 0)
        call1(__NR_close, directory);
    call3(__NR_unlinkat, keeper.places[0].fd, (long)(path + 1), AT_REMOVEDIR);
}

static int is_same(int directory, const char *name, unsigned mode, const char *link) {
    static char text[PATH_SIZE];
    if (IS(mode, DIRECTORY)) {
        long fd = call4(__NR_openat, directory, (long)name, O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC, 0);
        return fd >= 0 && call1(__NR_close, fd) == 0;
    }
    long size = call4(__NR_readlinkat, directory, (long)name, (long)text, sizeof text - 1);
    text[size < 0 ? 0 : size] = 0;
    return size > 0 && text_same(text, link);
}

static long make_entry(int directory, const char *name, unsigned mode, const char *link) {
    return IS(mode, DIRECTORY) ? call3(__NR_mkdirat, directory, (long)name, 0755)
                               : call3(__NR_symlinkat, (long)link, directory, (long)name);
}

long mirror_entry(const struct found *where, const char *name, unsigned mode, const char *link) {
    struct asker *asker = asker_leave();
    int directory = native_directory(where->path);
    if (keeper.places[where->place].flags & PYRT_PLACE_PROC && *name >= '0' && *name <= '9') {
        const char *number = name;
        forget_process((int)text_number(&number, 10));
    }
    long result = directory < 0 ? directory : make_entry(directory, name, mode, link);
    if (result == -EEXIST && is_same(directory, name, mode, link)) {
        result = 0;
    } else if (result == -EEXIST && keeper.places[where->place].flags & PYRT_PLACE_OURS) {
        if (call3(__NR_unlinkat, directory, (long)name, 0) < 0)
            call3(__NR_unlinkat, directory, (long)name, AT_REMOVEDIR);
        result = make_entry(directory, name, mode, link);
    }
    if (result == -EEXIST)
        result = -EBUSY;
    if (directory >= 0)
        call1(__NR_close, directory);
    if (asker)
        asker_become(asker);
    return result;
}

static struct copy *copy_of(const char *path, const char *name, uint64_t *hash) {
    uint64_t sum = 1469598103934665603u;
    for (const char *at = path; *at; at++)
        sum = (sum ^ (unsigned char)*at) * 1099511628211u;
    for (const char *at = name; *at; at++)
        sum = (sum ^ (unsigned char)*at) * 1099511628211u;
    *hash = sum;
    return &copies[sum % COPIES];
}

static long copy_content(int from, int to, uint64_t size) {
    static char buffer[32768];
    if (call3(__NR_ioctl, to, (long)FICLONE, from) == 0)
        return 0;
    for (uint64_t done = 0; done < size;) {
        long more = call6(__NR_copy_file_range, from, 0, to, 0, 1 << 24, 0);
        if (more <= 0)
            break;
        done += (uint64_t)more;
    }
    long have; /* other file systems, older kernels */
    while ((have = call3(__NR_read, from, (long)buffer, sizeof buffer)) > 0)
        for (long done = 0; done < have;) {
            long more = call3(__NR_write, to, (long)(buffer + done), have - done);
            if (more <= 0)
                return more < 0 ? more : -EIO;
            done += more;
        }
    return have;
}

static long make_copy(int directory, const struct found *found, const struct stat *status) {
    char path[48];
    text_fd_path(path, found->fd, "");
    long from = call4(__NR_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0);
    if (from < 0)
        return from;
    call3(__NR_unlinkat, directory, (long)NEW_NAME, 0);
    long to = call4(__NR_openat, directory, (long)NEW_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
    long result = to < 0 ? to : copy_content((int)from, (int)to, (uint64_t)status->st_size);
    if (result == 0)
        result = call3(__NR_fchown, to, (long)status->st_uid, (long)status->st_gid);
    if (result == 0)
        result = call2(__NR_fchmod, to, status->st_mode & 0777);
    if (to >= 0)
        call1(__NR_close, to);
    call1(__NR_close, from);
    if (result == 0)
        result = call5(__NR_renameat2, directory, (long)NEW_NAME, directory, (long)found->name, 0);
    return result;
}

static long mirror_file(const struct found *found) {
    struct stat status;
    uint64_t hash;
    struct copy *copy = copy_of(found->path, found->name, &hash);
    int directory = native_directory(found->path);
    if (directory < 0)
        return directory;
    long result = call2(__NR_fstat, found->fd, (long)&status);
    int there = call3(__NR_faccessat, directory, (long)found->name, 0) == 0;
    int known = there && copy->hash == hash;
    if (result == 0 && !(known && copy->device == status.st_dev && copy->inode == status.st_ino &&
                         copy->changed == (uint64_t)status.st_ctime && copy->changed_ns == (uint64_t)status.st_ctime_nsec)) {
        result = there && !known && !(keeper.places[found->place].flags & PYRT_PLACE_OURS) ? -EBUSY
                                                                                          : make_copy(directory, found, &status);
        if (result == 0)
            *copy = (struct copy){hash, status.st_dev, status.st_ino, (uint64_t)status.st_ctime,
                                  (uint64_t)status.st_ctime_nsec};
    }
    call1(__NR_close, directory);
    return result;
}

static long read_at(int fd, void *to, size_t size, uint64_t where) {
    return call4(__NR_pread64, fd, (long)to, (long)size, (long)where);
}

/* What the kernel opens besides a program: the interpreter of a script (execve(2)), the loader of an ELF file (elf(5)). */
static int interpreter_of(const struct found *found, char *path) {
    char begin[256], name[48];
    text_fd_path(name, found->fd, "");
    int fd = (int)call4(__NR_openat, AT_FDCWD, (long)name, O_RDONLY | O_CLOEXEC, 0);
    long size = fd < 0 ? fd : read_at(fd, begin, sizeof begin - 1, 0);
    path[0] = 0;
    if (size > 2 && begin[0] == '#' && begin[1] == '!') {
        const char *at = begin + 2;
        begin[size] = 0;
        while (*at == ' ' || *at == '\t')
            at++;
        char *end = path;
        while (*at && *at != ' ' && *at != '\t' && *at != '\n')
            *end++ = *at++;
        *end = 0;
    } else if (size >= 64 && begin[0] == 0x7f && begin[1] == 'E' && begin[4] == 2) {
        uint64_t headers, offset, length;
        uint16_t each, count;
        uint32_t type;
        memcpy(&headers, begin + 32, 8);
        memcpy(&each, begin + 54, 2);
        memcpy(&count, begin + 56, 2);
        for (unsigned i = 0; each == 56 && i < count && i < 64 && !path[0]; i++) {
            char header[56];
            if (read_at(fd, header, sizeof header, headers + i * 56) != 56)
                break;
            memcpy(&type, header, 4);
            memcpy(&offset, header + 8, 8);
            memcpy(&length, header + 32, 8);
            if (type == 3 && length > 0 && length < 256 && read_at(fd, path, length, offset) == (long)length)
                path[length - 1] = 0;
        }
    }
    if (fd >= 0)
        call1(__NR_close, fd);
    return path[0] == '/';
}

long mirror_program(struct asker *asker, const struct found *found) {
    static struct found next;
    static char path[PATH_SIZE];
    long result = 0;
    asker_leave();
    if (found->fd >= 0 && found->place != 0)
        result = mirror_file(found);
    int more = result == 0 && interpreter_of(found, path);
    for (int i = 0; more && i < MAX_INTERPRETERS; i++) {
        result = find(asker, AT_FDCWD, path, FOLLOW | MIRROR, &next);
        asker_leave();
        more = 0;
        if (result == 0 && next.fd >= 0) {
            result = next.place != 0 ? mirror_file(&next) : 0;
            more = result == 0 && interpreter_of(&next, path);
        }
        found_close(&next);
    }
    return result < 0 ? result : 0;
}

void mirror_removed(const struct found *found) {
    struct asker *asker = asker_leave();
    int directory = keeper.places[found->place].flags & PYRT_PLACE_OURS ? native_directory(found->path) : -1;
    if (directory >= 0) {
        if (call3(__NR_unlinkat, directory, (long)found->name, 0) < 0)
            call3(__NR_unlinkat, directory, (long)found->name, AT_REMOVEDIR);
        call1(__NR_close, directory);
    }
    if (asker)
        asker_become(asker);
}

void mirror_renamed(const struct found *from, const struct found *to) {
    struct asker *asker = asker_leave();
    int ours = keeper.places[from->place].flags & PYRT_PLACE_OURS;
    int old = ours ? native_directory(from->path) : -1, new = ours ? native_directory(to->path) : -1;
    if (old >= 0 && call3(__NR_faccessat, old, (long)from->name, 0) == 0) {
        long done = new < 0 ? new : call5(__NR_renameat2, old, (long)from->name, new, (long)to->name, 0);
        if (done < 0 && call3(__NR_unlinkat, old, (long)from->name, 0) < 0)
            call3(__NR_unlinkat, old, (long)from->name, AT_REMOVEDIR);
    }
    if (old >= 0)
        call1(__NR_close, old);
    if (new >= 0)
        call1(__NR_close, new);
    if (asker)
        asker_become(asker);
}
