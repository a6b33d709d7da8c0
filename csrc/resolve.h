/* In-root resolution: a path is looked up as if `root` were "/" of the machine, so that no symbolic link and no ".."
   of an image can name anything outside (openat2(2), RESOLVE_IN_ROOT). Magic links of /proc are refused; by the walk
   they mean the text that readlink gives for them, in the root like any other. */
#ifndef PYRT_RESOLVE_H
#define PYRT_RESOLVE_H

/* Opens path below root with flags of openat(2), without O_CREAT; O_CLOEXEC is added. Gives a new fd, or -1 with errno.
   Allocates nothing and has no state: fit for a child that shares its parent's memory. */
int pyrt_resolve(int root, const char *path, int flags);
/* The same by a walk over the components, for kernels and seccomp filters without openat2. */
int pyrt_resolve_by_walk(int root, const char *path, int flags);

#endif
