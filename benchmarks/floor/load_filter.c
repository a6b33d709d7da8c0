/* A worker (see worker.py): how long the kernel takes to load a seccomp filter.
 *
 *   load_filter FILE        an array of struct sock_filter
 *
 * Each sample is a new child, which keeps the filter to itself; only the system call is timed. (From Python the pages that a
 * child of a large process touches for the first time take longer than the call.)
 */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static int sample(const struct sock_fprog *program, volatile uint64_t *took) {
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        uint64_t begun = now();
        long failed = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, program);
        *took = now() - begun;
        _exit(failed ? 1 : 0);
    }
    int status = 1;
    return pid > 0 && waitpid(pid, &status, 0) == pid ? status : 1;
}

int main(int argc, char **argv) {
    static struct sock_filter code[BPF_MAXINSNS];
    int fd = argc == 2 ? open(argv[1], O_RDONLY) : -1;
    ssize_t size = read(fd, code, sizeof code);
    uint64_t *took = mmap(NULL, sizeof *took, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct sock_fprog program = {(unsigned short)(size / (ssize_t)sizeof *code), code};
    if (size <= 0 || took == MAP_FAILED)
        return 1;
    for (int count; scanf("%d", &count) == 1;) {
        for (; count > 0; count--) {
            if (sample(&program, took))
                return 1;
            printf("%llu ", (unsigned long long)*took);
        }
        printf("\n");
        fflush(stdout);
    }
    return 0;
}
