/* From bytes to an archive: every input makes one that the parser accepts, so that what is fuzzed is what the entries
   mean. Names are made of few components, so that they meet; among them are those that could lead out of a root. */
#ifndef PYRT_FUZZ_ARCHIVE_H
#define PYRT_FUZZ_ARCHIVE_H
#include <stddef.h>
#include <stdint.h>

/* Input, byte by byte; zeros where it has ended. */
struct fuzz_input {
    const uint8_t *at;
    size_t size;
};

/* More makes no new combination, only a slow one. */
#define FUZZ_MAX_INPUT 400

uint8_t fuzz_byte(struct fuzz_input *input);

#define FUZZ_NAME_ROOM 4200

struct fuzz_archive {
    uint8_t bytes[1 << 18];
    size_t size;
};

/* A name of up to eight components, absolute ones among them, and ones that lead to the canary. */
void fuzz_name(struct fuzz_input *input, const char *canary, char name[FUZZ_NAME_ROOM]);
/* Entries until the input has ended or says so, or the archive is full; the zero blocks after them. */
void fuzz_entries(struct fuzz_input *input, const char *canary, struct fuzz_archive *archive);
/* One entry without extensions and data. */
void fuzz_entry(struct fuzz_archive *archive, char type, const char *name, uint32_t mode);
void fuzz_end(struct fuzz_archive *archive);

#endif
