#define _GNU_SOURCE
#include "clone.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif

#define INTO_CGROUP 0x200000000ULL /* CLONE_INTO_CGROUP, Linux 5.7 */
#define SYS_CLONE3 435 /* the same number on every architecture */

/* struct clone_args of linux/sched.h up to cgroup (CLONE_ARGS_SIZE_VER2); older headers have a shorter one. */
struct clone_arguments {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};

/* The child returns from the system call on another stack than it was made on, so no C code may run before it has
 * called its function: hence the few instructions. */
static long raw_clone3(const struct clone_arguments *arguments, int (*function)(void *), void *argument) {
#if defined(__x86_64__)
    long result;
    register int (*r12)(void *) __asm__("r12") = function;
    register void *r13 __asm__("r13") = argument;
    __asm__ volatile(
        "syscall\n\t"
        "test %%rax, %%rax\n\t"
        "jnz 1f\n\t"
        "xor %%ebp, %%ebp\n\t"
        "mov %%r13, %%rdi\n\t"
        "call *%%r12\n\t"
        "mov %%eax, %%edi\n\t"
        "mov $60, %%eax\n\t" /* exit */
        "syscall\n\t"
        "hlt\n"
        "1:"
        : "=a"(result)
        : "a"((long)SYS_CLONE3), "D"(arguments), "S"(sizeof *arguments), "r"(r12), "r"(r13)
        : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = SYS_CLONE3;
    register long x0 __asm__("x0") = (long)arguments;
    register long x1 __asm__("x1") = (long)sizeof *arguments;
    register int (*x9)(void *) __asm__("x9") = function;
    register void *x10 __asm__("x10") = argument;
    __asm__ volatile(
        "svc #0\n\t"
        "cbnz x0, 1f\n\t"
        "mov x29, #0\n\t"
        "mov x0, x10\n\t"
        "blr x9\n\t"
        "mov x8, #93\n\t" /* exit */
        "svc #0\n\t"
        "brk #1\n"
        "1:"
        : "+r"(x0)
        : "r"(x8), "r"(x1), "r"(x9), "r"(x10)
        : "x30", "cc", "memory");
    return x0;
#else
#error "pyrt runs on x86_64 and aarch64"
#endif
}

long pyrt_clone(uint64_t flags, int cgroup, int (*function)(void *), void *argument, void *stack, uint64_t stack_size,
                int *pidfd) {
    struct clone_arguments arguments;
    memset(&arguments, 0, sizeof arguments);
    flags |= CLONE_VM | CLONE_VFORK | CLONE_PIDFD;
    arguments.flags = flags | (cgroup >= 0 ? INTO_CGROUP : 0);
    arguments.pidfd = (uint64_t)(uintptr_t)pidfd;
    arguments.exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD; /* a sibling has the caller's own */
    arguments.stack = (uint64_t)(uintptr_t)stack;
    arguments.stack_size = stack_size;
    arguments.cgroup = cgroup >= 0 ? (uint64_t)cgroup : 0;
    long pid = raw_clone3(&arguments, function, argument);
    if (pid >= 0)
        return pid;
    if (pid != -ENOSYS || cgroup >= 0) {
        errno = (int)-pid;
        return -1;
    }
    /* Before Linux 5.3, or a seccomp filter that cannot look into clone3's arguments (docker's default answers ENOSYS on
     * purpose). clone(2) takes the same flags but for those above 32 bits. */
    return clone(function, (char *)stack + stack_size, (int)((uint32_t)flags | SIGCHLD), argument, pidfd);
}
