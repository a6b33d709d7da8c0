/* Device rules of a cgroup v2: an eBPF program of type BPF_PROG_TYPE_CGROUP_DEVICE, which Python has assembled. */
#ifndef PYRT_DEVICE_FILTER_H
#define PYRT_DEVICE_FILTER_H

#include <stdint.h>

/* Hands the program to the kernel, which verifies it. Returns an fd (O_CLOEXEC), or -1 and errno. */
int pyrt_device_filter_load(const void *instructions, uint32_t count);

/* From now on the program is asked, beside those of the cgroups above, before a process of the cgroup (a directory fd)
 * makes or opens a device node. It goes with the cgroup. Returns 0, or -1 and errno. */
int pyrt_device_filter_attach(int cgroup, int program);

#endif
