/* The floor's last step: what a root user's container still has to give up, then the program. Started from a sealed memfd
 * with the program's path as its argv[0]. No libc, so that only these system calls are measured. */
#include <asm/unistd.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <stdint.h>

#define KEPT 0x800405fbULL /* pyrt/runtime/capabilities.py's default: podman's set */
#define LAST_CAPABILITY 40
#define JOIN_SESSION_KEYRING 1
#define DIES_WITH_PARENT 9 /* SIGKILL */

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall last_step\n\thlt\n");

static long call(long number, long a, long b, long c, long d) {
    long result;
    register long fourth __asm__("r10") = d;
    register long fifth __asm__("r8") = 0;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth)
                     : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
__asm__(".globl _start\n_start:\n\tmov x29, #0\n\tmov x0, sp\n\tbl last_step\n\tbrk #1\n");

static long call(long number, long a, long b, long c, long d) {
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = 0;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory", "cc");
    return x0;
}
#else
#error "x86_64 and aarch64"
#endif

static void drop_capabilities(void) {
    for (long capability = 0; capability <= LAST_CAPABILITY; capability++)
        if (!(KEPT >> capability & 1))
            call(__NR_prctl, PR_CAPBSET_DROP, capability, 0, 0);
}

static long keep_capabilities(void) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{(uint32_t)KEPT, (uint32_t)KEPT, 0}, {KEPT >> 32, KEPT >> 32, 0}};
    return call(__NR_capset, (long)&header, (long)data, 0, 0);
}

__attribute__((noreturn, used)) void last_step(long *stack) {
    char **argv = (char **)(stack + 1), **envp = argv + *stack + 1;
    static const uint32_t root_group = 0;
    call(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0);
    call(__NR_umask, 022, 0, 0, 0);
    call(__NR_setsid, 0, 0, 0, 0);
    call(__NR_keyctl, JOIN_SESSION_KEYRING, 0, 0, 0);
    call(__NR_setgroups, 1, (long)&root_group, 0, 0);
    call(__NR_setresgid, 0, 0, 0, 0);
    drop_capabilities();
    call(__NR_chdir, (long)"/", 0, 0, 0);
    call(__NR_setresuid, 0, 0, 0, 0);
    if (keep_capabilities() == 0) {
        call(__NR_prctl, PR_SET_PDEATHSIG, DIES_WITH_PARENT, 0, 0);
        call(__NR_execve, (long)argv[0], (long)argv, (long)envp, 0);
    }
    for (;;)
        call(__NR_exit_group, 125, 0, 0, 0);
}
