/* Who asks: its memory, and its rights. Both are the container's, and nothing of it is believed further than it goes. */
#include <linux/seccomp.h>
#include <linux/uio.h>
#include <asm/ioctl.h>

#include "keeper.h"

#ifndef SECCOMP_IOCTL_NOTIF_ID_VALID
#define SECCOMP_IOCTL_NOTIF_ID_VALID _IOW('!', 2, __u64)
#endif
#define PAGE 4096

int asker_valid(const struct asker *asker) {
    return call3(__NR_ioctl, keeper.listener, (long)SECCOMP_IOCTL_NOTIF_ID_VALID, (long)&asker->id) == 0;
}

/* Filters of older dockers let nobody call the two: then by /proc/PID/mem, for which the kernel looks at the ids for files. */
static long transfer_by_file(struct asker *asker, int writes, uint64_t address, void *here, size_t size) {
    char path[32];
    text_add(text_add_number(path, (unsigned long)asker->tid), "/mem");
    long flags = (writes ? O_WRONLY : O_RDONLY) | O_CLOEXEC;
    long fd = call4(__NR_openat, keeper.proc, (long)path, flags, 0);
    if (fd < 0 && asker_look(asker) == 0 && asker->uid[0] == asker->uid[2] && asker->gid[0] == asker->gid[2]) {
        call1(__NR_setfsgid, (long)asker->gid[0]);
        call1(__NR_setfsuid, (long)asker->uid[0]);
        fd = call4(__NR_openat, keeper.proc, (long)path, flags, 0);
        call1(__NR_setfsuid, 0);
        call1(__NR_setfsgid, 0);
    }
    if (fd < 0)
        return -EPERM;
    long result = call4(writes ? __NR_pwrite64 : __NR_pread64, fd, (long)here, (long)size, (long)address);
    call1(__NR_close, fd);
    return result == -EIO ? -EFAULT : result;
}

int asker_reads_memory(void) {
    char one = 1, other = 0;
    struct iovec from = {&one, 1}, to = {&other, 1};
    return call6(__NR_process_vm_readv, keeper.self, (long)&to, 1, (long)&from, 1, 0) == 1;
}

/* The kernel looks at our real ids, and wants them to be the asker's alone; our effective ones stay, and with them what we may
 * do (ptrace(2), "Ptrace access mode checking"). One who has changed ids without an exec is closed to all without
 * CAP_SYS_PTRACE. Never between asker_become() and asker_leave(). */
static long transfer(struct asker *asker, int writes, uint64_t address, void *here, size_t size) {
    long call = writes ? __NR_process_vm_writev : __NR_process_vm_readv;
    if (!keeper.reads_memory)
        return transfer_by_file(asker, writes, address, here, size);
    struct iovec own = {here, size}, other = {(void *)(uintptr_t)address, size};
    long result = call6(call, asker->tid, (long)&own, 1, (long)&other, 1, 0);
    if (result != -EPERM)
        return result;
    if (asker_look(asker) < 0 || asker->uid[0] != asker->uid[2] || asker->gid[0] != asker->gid[2])
        return -EPERM;
    call3(__NR_setresgid, (long)asker->gid[0], -1, -1);
    call3(__NR_setresuid, (long)asker->uid[0], -1, -1);
    result = call6(call, asker->tid, (long)&own, 1, (long)&other, 1, 0);
    call3(__NR_setresuid, 0, -1, -1);
    call3(__NR_setresgid, 0, -1, -1);
    return result;
}

long asker_read(struct asker *asker, uint64_t address, void *to, size_t size) {
    long result = transfer(asker, 0, address, to, size);
    return result == (long)size ? 0 : result < 0 ? result : -EFAULT;
}

long asker_write(struct asker *asker, uint64_t address, const void *from, size_t size) {
    if (!asker_valid(asker))
        return -EINTR; /* somebody else may have the number by now */
    long result = transfer(asker, 1, address, (void *)(uintptr_t)from, size);
    return result == (long)size ? 0 : result < 0 ? result : -EFAULT;
}

long asker_text(struct asker *asker, uint64_t address, char *text, size_t size) {
    size_t have = 0;
    while (have < size) {
        size_t piece = PAGE - ((address + have) & (PAGE - 1)); /* the next page may not be there */
        if (piece > size - have)
            piece = size - have;
        if (have == 0 && piece > 256)
            piece = 256; /* most paths are short */
        long got = transfer(asker, 0, address + have, text + have, piece);
        if (got <= 0)
            return got < 0 ? got : -EFAULT;
        for (size_t i = have; i < have + (size_t)got; i++)
            if (text[i] == 0)
                return (long)i;
        have += (size_t)got;
    }
    return -ENAMETOOLONG;
}

static long open_of(int tid, const char *name) {
    char path[64];
    text_add(text_add(text_add_number(path, (unsigned long)tid), "/"), name);
    return call4(__NR_openat, keeper.proc, (long)path, O_RDONLY | O_CLOEXEC, 0);
}

static long read_of(int tid, const char *name, char *content, size_t size) {
    long fd = open_of(tid, name);
    if (fd < 0)
        return fd;
    long length = call3(__NR_read, fd, (long)content, (long)size - 1);
    call1(__NR_close, fd);
    content[length < 0 ? 0 : length] = 0;
    return length;
}

/* The value after a name at the beginning of a line. */
static const char *line(const char *text, const char *name) {
    size_t size = text_size(name);
    for (; *text; text++) {
        size_t i = 0;
        while (i < size && text[i] == name[i])
            i++;
        if (i == size)
            return text + size;
        while (*text && *text != '\n')
            text++;
        if (!*text)
            break;
    }
    return "";
}

long asker_look(struct asker *asker) {
    static char status[8192];
    if (asker->known)
        return 0;
    long result = read_of(asker->tid, "status", status, sizeof status);
    if (result < 0)
        return result;
    const char *at = line(status, "Umask:");
    asker->umask = (uint32_t)text_number(&at, 8);
    at = line(status, "Tgid:");
    asker->tgid = (int)text_number(&at, 10);
    at = line(status, "Uid:");
    for (int i = 0; i < 4; i++)
        asker->uid[i] = (uint32_t)text_number(&at, 10);
    at = line(status, "Gid:");
    for (int i = 0; i < 4; i++)
        asker->gid[i] = (uint32_t)text_number(&at, 10);
    at = line(status, "Groups:");
    for (asker->ngroups = 0; asker->ngroups < 256; asker->ngroups++) {
        while (*at == ' ' || *at == '\t')
            at++;
        if (*at < '0' || *at > '9')
            break;
        asker->groups[asker->ngroups] = (uint32_t)text_number(&at, 10);
    }
    at = line(status, "CapEff:");
    asker->effective = text_number(&at, 16);
    if (!asker_valid(asker)) /* what has been read may be about another one */
        return -EINTR;
    asker->known = 1;
    return 0;
}

static void set_effective(uint64_t effective) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    for (int half = 0; half < 2; half++) {
        data[half].permitted = (uint32_t)(keeper.capabilities >> (32 * half));
        data[half].effective = (uint32_t)(effective >> (32 * half));
        data[half].inheritable = 0;
    }
    call2(__NR_capset, (long)&header, (long)data);
}

static struct asker *current; /* whose rights we have */

long asker_become(struct asker *asker) {
    long result = asker_look(asker);
    if (result < 0)
        return result;
    current = asker;
    call1(__NR_umask, (long)asker->umask);
    result = call2(__NR_setgroups, asker->ngroups, (long)asker->groups);
    call1(__NR_setfsgid, (long)asker->gid[3]);
    call1(__NR_setfsuid, (long)asker->uid[3]);
    /* The two say nothing when they fail (setfsuid(2), BUGS), and another's rights are not to be lent. */
    if (asker->uid[3] != 0 && (result < 0 || call1(__NR_setfsuid, -1) != (long)asker->uid[3] ||
                               call1(__NR_setfsgid, -1) != (long)asker->gid[3])) {
        asker_leave();
        return -EPERM;
    }
    set_effective(keeper.capabilities & asker->effective);
    return 0;
}

struct asker *asker_leave(void) {
    struct asker *left = current;
    if (!current)
        return 0;
    current = 0;
    set_effective(keeper.capabilities);
    call1(__NR_setfsuid, 0);
    call1(__NR_setfsgid, 0);
    call2(__NR_setgroups, keeper.ngroups, (long)keeper.groups);
    call1(__NR_umask, 0);
    return left;
}

/* Whoever loses his parent becomes our child, so the way up from all of ours ends at us. */
int is_ours(int pid) {
    char stat[512];
    for (int steps = 0; pid > 1 && pid != keeper.self && steps < 4096; steps++) {
        if (read_of(pid, "stat", stat, sizeof stat) <= 0)
            return 0;
        const char *at = stat + text_size(stat);
        while (at > stat && *at != ')') /* the name in front may have anything in it */
            at--;
        if (at[0] != ')' || at[1] != ' ' || !at[2])
            return 0;
        at += 3;
        int parent = (int)text_number(&at, 10);
        if (parent == keeper.self)
            return 1;
        pid = parent;
    }
    return 0;
}

long asker_link(const struct asker *asker, const char *name, int fd, char *path, size_t size) {
    char link[64];
    char *end = text_add(text_add(text_add_number(link, (unsigned long)asker->tid), "/"), name);
    if (fd >= 0)
        text_add_number(end, (unsigned long)fd);
    long length = call4(__NR_readlinkat, keeper.proc, (long)link, (long)path, (long)size - 1);
    if (length >= (long)size - 1)
        return -ENAMETOOLONG;
    path[length < 0 ? 0 : length] = 0;
    return length;
}
