/* System calls for programs without a libc: what each of their C files may include. The entry is in freestanding.h. */
#ifndef PYRT_FREESTANDING_CALLS_H
#define PYRT_FREESTANDING_CALLS_H

#include <asm/unistd.h>
#include <stddef.h>

#if defined(__x86_64__)
static inline long call6(long number, long a, long b, long c, long d, long e, long f) {
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
static inline long call6(long number, long a, long b, long c, long d, long e, long f) {
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory", "cc");
    return x0;
}
#else
#error "pyrt runs on x86_64 and aarch64"
#endif

static inline long call5(long n, long a, long b, long c, long d, long e) {
    return call6(n, a, b, c, d, e, 0);
}
static inline long call4(long n, long a, long b, long c, long d) {
    return call6(n, a, b, c, d, 0, 0);
}
static inline long call3(long n, long a, long b, long c) {
    return call6(n, a, b, c, 0, 0, 0);
}
static inline long call2(long n, long a, long b) {
    return call6(n, a, b, 0, 0, 0, 0);
}
static inline long call1(long n, long a) {
    return call6(n, a, 0, 0, 0, 0, 0);
}

__attribute__((noreturn)) static inline void leave(int code) {
    for (;;)
        call1(__NR_exit_group, code);
}

/* gcc may turn an initialiser or a loop into calls of these two. */
void *memset(void *where, int byte, size_t size);
void *memcpy(void *restrict to, const void *restrict from, size_t size);

#endif
