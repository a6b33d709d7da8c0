/* Landlock (since Linux 5.13; landlock(7)): the program and whatever it starts may open nothing natively but what is below the
 * root and the places, whatever way out of a chroot they know; and signal nobody else, where the kernel can do that. What the
 * keeper opens for them does not come into it. */
#include "keeper.h"

#define CREATE_RULESET 444 /* the same numbers on every architecture */
#define ADD_RULE 445
#define RESTRICT_SELF 446
#define VERSION 1
#define PATH_BENEATH 1

#define EXECUTE 1u
#define WRITE_FILE 2u
#define READ_FILE 4u
#define READ_DIR 8u
#define REFER (1u << 13)    /* version 2; without it nothing can be renamed to another directory */
#define TRUNCATE_FILE (1u << 14) /* version 3 */
#define READS (EXECUTE | READ_FILE | READ_DIR)
#define OF_A_FILE (EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE_FILE)
#define SCOPE_ABSTRACT_SOCKET 1u /* version 6 */
#define SCOPE_SIGNAL 2u
#define NEEDED 2

struct ruleset {
    uint64_t files, network, scoped;
};

struct beneath {
    uint64_t allowed;
    int32_t parent;
} __attribute__((packed));

long restrict_files(void) {
    long version = call3(CREATE_RULESET, 0, 0, VERSION);
    if (version < NEEDED)
        return version < 0 ? version : -ENOSYS;
    struct ruleset wanted = {.files = version >= 3 ? TRUNCATE_FILE * 2 - 1 : REFER * 2 - 1,
                             .scoped = version >= 6 ? SCOPE_ABSTRACT_SOCKET | SCOPE_SIGNAL : 0};
    long size = version >= 6 ? (long)sizeof wanted : version >= 4 ? 16 : 8;
    long rules = call3(CREATE_RULESET, (long)&wanted, size, 0);
    long result = rules < 0 ? rules : 0;
    for (int i = 0; i < keeper.nplaces && result == 0; i++) {
        const struct place *place = &keeper.places[i];
        struct beneath rule = {.allowed = place->flags & PYRT_PLACE_READ_ONLY ? READS : wanted.files, .parent = place->fd};
        if (!IS(place->mode, DIRECTORY))
            rule.allowed &= OF_A_FILE & wanted.files;
        result = call4(ADD_RULE, rules, PATH_BENEATH, (long)&rule, 0);
    }
    if (result == 0)
        result = call2(RESTRICT_SELF, rules, 0);
    if (rules >= 0)
        call1(__NR_close, rules);
    return result;
}
