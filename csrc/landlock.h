/* landlock(7). */
#ifndef PYRT_LANDLOCK_H
#define PYRT_LANDLOCK_H

/* The version of Landlock's interface that this process may use, 0 where there is none: the kernel lacks it, has not been started
 * with it, or a filter forbids it. */
int pyrt_landlock_version(void);

#endif
