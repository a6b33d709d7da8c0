/* Where harnesses unpack: directories that are made and removed for every input, in the middle of a canary.

   The canary is a tree of files of every kind, hard links and xattrs among them. It has the names that the generated
   archives use, and stands where "..", absolute names and links out of the root would lead: beside the roots, in the
   directory that is their "..". */
#ifndef PYRT_FUZZ_PLACE_H
#define PYRT_FUZZ_PLACE_H

/* The place's absolute path, which is that of the canary. */
const char *fuzz_place(void);
/* A new empty directory in the place, opened; it replaces what had the name. */
int fuzz_root(const char *name);
/* Removes such a directory, whatever is in it: by the extractor's own removal, which is under test as well. */
void fuzz_remove(const char *name);
/* From here to fuzz_unchanged nothing of the place may change but what is in the roots. Files are also compared with
   what they were at the beginning. Aborts where so much as a ctime differs. */
void fuzz_watch(void);
void fuzz_unchanged(void);
/* The lowest file descriptor that is not open: the same before and after what leaves nothing open. */
int fuzz_free_fd(void);

#endif
