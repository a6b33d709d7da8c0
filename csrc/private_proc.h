/* A procfs that nobody else can reach: for what is written into the kernel on a container's behalf. */
#ifndef PYRT_PRIVATE_PROC_H
#define PYRT_PRIVATE_PROC_H

/* The root directory of a procfs of the caller's pid namespace, in no mount tree, O_CLOEXEC; -1 and errno. Where the kernel
 * lacks fsopen(2), it is mounted on ``place`` for a moment, a directory that only the caller's mount namespace shows. */
int pyrt_private_proc(const char *place);

#endif
