/* The end of everything that the program has started. Who loses his parent becomes our child (PR_SET_CHILD_SUBREAPER), so a
 * daemon that has forked twice is found like any other, whatever session it has made. */
#include <linux/signal.h>
#include <linux/time_types.h>
#include <linux/wait.h>

#include "directory_record.h"
#include "keeper.h"

#define PATIENT_ROUNDS 2

static void kill_process(int pid) {
    call2(__NR_kill, pid, SIGKILL);
}

/* proc_pid_children(5). Whether the kernel has it. */
static int kill_children(void) {
    static char list[65536];
    char path[64];
    text_add(text_add_number(text_add(path, "self/task/"), (unsigned long)keeper.self), "/children");
    long fd = call4(__NR_openat, keeper.proc, (long)path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return 0;
    long size = call3(__NR_read, fd, (long)list, sizeof list - 1);
    call1(__NR_close, fd);
    list[size < 0 ? 0 : size] = 0;
    for (const char *at = list; *at >= '0' && *at <= '9'; at += *at == ' ')
        kill_process((int)text_number(&at, 10));
    return 1;
}

/* All generations at once, for those that multiply. */
static void kill_all(void) {
    static char entries[32768] __attribute__((aligned(8)));
    long list = call4(__NR_openat, keeper.proc, (long)".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0), size;
    while (list >= 0 && (size = call3(__NR_getdents64, list, (long)entries, sizeof entries)) > 0)
        for (long at = 0; at < size;) {
            const struct pyrt_directory_record *record = (const void *)(entries + at);
            const char *name = record->name;
            at += record->size;
            if (*name < '0' || *name > '9')
                continue;
            int pid = (int)text_number(&name, 10);
            if (is_ours(pid))
                kill_process(pid);
        }
    if (list >= 0)
        call1(__NR_close, list);
}

static long wait_for_any(int *status, int options) {
    return call5(__NR_wait4, -1, (long)status, options | (int)__WALL, 0, 0);
}

int reap_ended(void) {
    int status, code = -1;
    for (long pid; (pid = wait_for_any(&status, WNOHANG)) > 0;)
        if (pid == keeper.program)
            code = (status & 0x7f) ? 128 + (status & 0x7f) : (status >> 8 & 0xff);
    return code;
}

void kill_tree(void) {
    static const struct __kernel_timespec pause = {0, 200000};
    int status;
    for (int round = 0;; round++) {
        if (!kill_children() || round >= PATIENT_ROUNDS)
            kill_all();
        long pid;
        while ((pid = wait_for_any(&status, WNOHANG)) > 0) {
        }
        if (pid == -ECHILD)
            return;
        /* Not by waiting for one to end: somebody may have become our child since, and wait for an answer of ours. */
        call5(__NR_ppoll, 0, 0, (long)&pause, 0, 8);
    }
}
