/* The mounts below a mount, on kernels that cannot change a whole tree at once (mount_setattr, Linux 5.12). */
#ifndef PYRT_SUBMOUNTS_H
#define PYRT_SUBMOUNTS_H

/* Adds flags (MS_RDONLY, MS_NODEV ...) to every mount below top, an fd of a mount's root. Returns 0, or -1 and errno. */
int pyrt_change_submounts(int top, unsigned long change);

#endif
