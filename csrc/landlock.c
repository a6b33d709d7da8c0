#define _GNU_SOURCE
#include "landlock.h"

#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SYS_LANDLOCK_CREATE_RULESET 444 /* the same number on every architecture */
#define CREATE_RULESET_VERSION 1u

int pyrt_landlock_version(void) {
    long version = syscall(SYS_LANDLOCK_CREATE_RULESET, NULL, (size_t)0, CREATE_RULESET_VERSION);
    return version < 0 ? 0 : (int)version;
}
