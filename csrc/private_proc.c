#define _GNU_SOURCE
#include "private_proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"

/* linux/mount.h, which older headers lack; the numbers are those of every architecture. Linux 5.2. */
#define SYS_FSOPEN 430
#define SYS_FSCONFIG 431
#define SYS_FSMOUNT 432
#define OPEN_CLOEXEC 1u
#define CONFIG_CREATE 6u
#define MOUNT_CLOEXEC 1u
#define ATTRIBUTES (2u | 4u | 8u) /* nosuid, nodev, noexec */

static int mount_detached(void) {
    pyrt_fd context = (int)syscall(SYS_FSOPEN, "proc", OPEN_CLOEXEC);
    if (context < 0 || syscall(SYS_FSCONFIG, context, CONFIG_CREATE, NULL, NULL, 0) < 0)
        return -1;
    return (int)syscall(SYS_FSMOUNT, context, MOUNT_CLOEXEC, ATTRIBUTES);
}

/* An image, a volume or another container that shares one can put anything at /proc and below it; on a mount without a
 * place nothing can be mounted, so what is opened below it is what the kernel put there (CVE-2019-16884, CVE-2025-52881). */
int pyrt_private_proc(const char *place) {
    int proc = mount_detached();
    if (proc >= 0 || (errno != ENOSYS && errno != EPERM)) /* EPERM: also a seccomp filter that does not know the call */
        return proc;
    if (mount("proc", place, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        return -1;
    proc = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (umount2(place, MNT_DETACH) < 0)
        pyrt_close(&proc);
    return proc;
}
