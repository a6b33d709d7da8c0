#define _GNU_SOURCE
#include "device_filter.h"

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Numbers and structures of linux/bpf.h (4.15), which older headers lack; the kernel takes what a shorter structure leaves
 * out for zero. */
#ifndef SYS_bpf
#if defined(__x86_64__)
#define SYS_bpf 321
#else
#define SYS_bpf 280
#endif
#endif
#define PROG_LOAD 5
#define PROG_ATTACH 8
#define PROG_TYPE_CGROUP_DEVICE 15
#define ATTACH_CGROUP_DEVICE 6
#define ALLOW_MULTI 2

struct load_attributes {
    uint32_t type, count;
    uint64_t instructions, license;
    uint32_t log_level, log_size;
    uint64_t log;
    uint32_t kernel_version, flags;
    char name[16];
};

struct attach_attributes {
    uint32_t target, program, type, flags;
};

int pyrt_device_filter_load(const void *instructions, uint32_t count) {
    struct load_attributes attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.type = PROG_TYPE_CGROUP_DEVICE;
    attributes.count = count;
    attributes.instructions = (uint64_t)(uintptr_t)instructions;
    attributes.license = (uint64_t)(uintptr_t)""; /* it calls no helper function that would want a GPL program */
    memcpy(attributes.name, "pyrt_devices", sizeof "pyrt_devices");
    return (int)syscall(SYS_bpf, PROG_LOAD, &attributes, sizeof attributes);
}

int pyrt_device_filter_attach(int cgroup, int program) {
    /* As systemd and the OCI runtimes have it: a cgroup below may have a program of its own, and every one must agree. */
    struct attach_attributes attributes = {(uint32_t)cgroup, (uint32_t)program, ATTACH_CGROUP_DEVICE, ALLOW_MULTI};
    return (int)syscall(SYS_bpf, PROG_ATTACH, &attributes, sizeof attributes);
}
