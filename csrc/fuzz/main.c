/* For compilers without libFuzzer's runtime: feeds each file named on the command line to the harness. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static int feed(const char *path) {
    FILE *file = fopen(path, "rb");
    uint8_t *bytes;
    size_t size;
    long end;

    if (file == NULL || fseek(file, 0, SEEK_END) < 0 || (end = ftell(file)) < 0) {
        perror(path);
        return EXIT_FAILURE;
    }
    rewind(file);
    bytes = malloc((size_t)end + 1);
    size = fread(bytes, 1, (size_t)end, file);
    fclose(file);
    LLVMFuzzerTestOneInput(bytes, size);
    free(bytes);
    return EXIT_SUCCESS;
}

int main(int count, char **paths) {
    int failed = EXIT_SUCCESS;

    for (int i = 1; i < count; i++)
        failed |= feed(paths[i]);
    return failed;
}
