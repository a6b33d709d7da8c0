/* What a container can do to its keeper: every call that it answers, with arguments that point nowhere, to the end of memory,
 * to too much, or to something that another thread changes. Says "alive" when the keeper still answers afterwards. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char changing[64] = "/proc/self/comm";
static volatile int done;

static void *change(void *unused) {
    static const char *const paths[] = {"/proc/self/comm", "/v/f", "/v/../etc/passwd", "", "/proc/self/fd/0", "/v/d/../f", "x"};
    for (unsigned i = 0; !done; i++)
        memcpy(changing, paths[i % 7], strlen(paths[i % 7]) + 1);
    return unused;
}

static void all_calls(int argc, char **argv) {
    char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(page + 4096, 4096);
    memset(page, 'a', 4096);
    char *at_end = page + 4096 - 11;
    memcpy(at_end, "/proc/self/", 11); /* no end: the next page is not there */
    char *long_path = malloc(1 << 20);
    memset(long_path, '/', 1 << 20);
    memcpy(long_path, "/proc/self", 10);
    long_path[(1 << 20) - 1] = 0;
    char deep[4096];
    memset(deep, 0, sizeof deep);
    for (int i = 0; i < 800; i++)
        strcat(deep, "/v/..");
    char *pointers[] = {NULL, (char *)1, (char *)-1, (char *)(1ul << 63), page, at_end, long_path, deep, "/proc/self/status",
                        "/v/f", "/v", "/v/loop", "/proc/self/fd/99", "/proc/self/cwd/../..", "relative", "/proc/self/exe"};
    unsigned count = sizeof pointers / sizeof *pointers;
    for (int i = 1; i < argc; i++) {
        long number = atol(argv[i]);
        if (fork() == 0) { /* an exec or a chroot ends it */
            for (unsigned a = 0; a < count; a++)
                for (unsigned b = a % 3; b < count; b += 3) {
                    syscall(number, pointers[a], pointers[b], 0, 0, 0, 0);
                    syscall(number, AT_FDCWD, pointers[a], pointers[b], pointers[b], 0, 0);
                    syscall(number, 1 << 20, pointers[a], -1, -1, pointers[b], -1);
                    syscall(number, pointers[a], "user.x", pointers[b], 1 << 20, 0, 0);
                }
            _exit(0);
        }
        wait(NULL);
    }
}

static int alive(void) {
    char name[32] = "";
    int fd = open("/proc/self/comm", O_RDONLY);
    return fd >= 0 && read(fd, name, sizeof name) > 0 && !strcmp(name, "hostile\n");
}

int main(int argc, char **argv) {
    if (argc < 10)
        return 0; /* one of the calls has executed us */
    all_calls(argc, argv);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, change, NULL);
    for (int i = 0; i < 20000; i++) {
        struct stat status;
        int fd = open(changing, i % 2 ? O_RDONLY : O_RDWR);
        if (fd >= 0)
            close(fd);
        stat(changing, &status);
    }
    done = 1;
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    puts(alive() ? "alive" : "dead");
    return 0;
}
