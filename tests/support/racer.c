/* Exchanges pairs of names as fast as it can: `racer A B [C D]...`, until it is killed (renameat2(2), RENAME_EXCHANGE).
 * With "-u PATH TARGET" instead: removes PATH and links it to TARGET, and the other way round. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "-u") == 0)
        for (;;) {
            unlink(argv[2]);
            if (symlink(argv[3], argv[2]) < 0)
                usleep(1);
        }
    for (;;)
        for (int i = 1; i + 1 < argc; i += 2)
            renameat2(AT_FDCWD, argv[i], AT_FDCWD, argv[i + 1], RENAME_EXCHANGE);
}
