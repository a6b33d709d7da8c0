/* What the kernel answers to system calls, one line each: "number errno", 0 where it went well.
 *
 *   calls NUMBER[,ARGUMENT...]...   any calls, in turn
 *   calls threads                   four threads, by the C library's own means
 *   calls int80                     getpid as a 32-bit program calls it
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void *nothing(void *count) {
    return count;
}

static int threads(void) {
    for (long i = 0; i < 4; i++) {
        pthread_t thread;
        void *result;
        if (pthread_create(&thread, NULL, nothing, (void *)i) || pthread_join(thread, &result) || (long)result != i)
            return 1;
    }
    pid_t child = fork();
    if (child == 0)
        _exit(7);
    int status;
    return waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 7 ? 0 : 1;
}

static void one(char *word) {
    long numbers[7] = {0};
    int count = 0;
    for (char *part = strtok(word, ","); part && count < 7; part = strtok(NULL, ","))
        numbers[count++] = (long)strtoull(part, NULL, 0);
    errno = 0;
    long result = syscall(numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], numbers[6]);
    printf("%ld %d\n", numbers[0], result == -1 ? errno : 0);
    fflush(stdout);
}

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "threads"))
        return threads();
#if defined(__x86_64__)
    if (argc > 1 && !strcmp(argv[1], "int80")) {
        long result;
        __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
        return result > 0 ? 0 : 1;
    }
#endif
    for (int i = 1; i < argc; i++)
        one(argv[i]);
    return 0;
}
