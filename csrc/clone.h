/* clone3(2) with a function, for a child that shares the caller's memory. */
#ifndef PYRT_CLONE_H
#define PYRT_CLONE_H

#include <stdint.h>

/* Runs function(argument) in a child on a stack of its own, with CLONE_VM|CLONE_VFORK|CLONE_PIDFD and these flags of clone(2);
 * the caller goes on when the child has executed or ended. cgroup: an fd for CLONE_INTO_CGROUP, or -1. Falls back to
 * clone(2) where clone3 answers ENOSYS (and no cgroup is asked for). Returns the pid, or -1 and errno. */
long pyrt_clone(uint64_t flags, int cgroup, int (*function)(void *), void *argument, void *stack, uint64_t stack_size,
                int *pidfd);

#endif
