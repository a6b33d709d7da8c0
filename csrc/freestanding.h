/* What a program without a libc begins with: its entry. To be included by one C file of the program, which has
 * `void program(long *stack)`: argc, the arguments, NULL, the environment, NULL (the processor's ABI supplement, "Process
 * initialization"). */
#ifndef PYRT_FREESTANDING_H
#define PYRT_FREESTANDING_H

#include "freestanding_calls.h"

__attribute__((noreturn, used)) static void program(long *stack);

#if defined(__x86_64__)
__asm__(
    ".globl _start\n"
    "_start:\n\t"
    "xor %ebp, %ebp\n\t"
    "mov %rsp, %rdi\n\t"
    "and $-16, %rsp\n\t"
    "call program\n\t"
    "hlt\n");
#elif defined(__aarch64__)
__asm__(
    ".globl _start\n"
    "_start:\n\t"
    "mov x29, #0\n\t"
    "mov x30, #0\n\t"
    "mov x0, sp\n\t"
    "bl program\n\t"
    "brk #1\n");
#endif

void *memset(void *where, int byte, size_t size) {
    unsigned char *p = where;
    while (size--)
        *p++ = (unsigned char)byte;
    return where;
}
void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    unsigned char *p = to;
    const unsigned char *q = from;
    while (size--)
        *p++ = *q++;
    return to;
}

#endif
