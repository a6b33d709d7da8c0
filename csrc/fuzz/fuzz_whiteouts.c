#define _GNU_SOURCE
/* A layer of files, directories, whiteouts and opaque marks over a lower layer that has everything: what overlay makes
   of what the extractor has written is what the image specification means by the entries (layer.md, "Whiteouts"; they
   concern the layers below, whatever stands before and after them in the archive). */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "archive.h"
#include "layer.h"
#include "layer_step.h"
#include "place.h"

/* Paths of up to three of these names; a path is a number, that of its child is child(path, name). */
static const char *const names[] = {"a", "b", "c"};
#define NAMES 3
#define PATHS (1 + 3 + 9 + 27)
#define INNER (1 + 3 + 9) /* those that have children */

enum kind { NOTHING, A_FILE, A_DIRECTORY, A_WHITEOUT };

/* The lower layer: directories, but for every "c" and the lowest level, which are files. */
static enum kind lower_kind(unsigned path) {
    return path >= INNER || (path > 0 && (path - 1) % NAMES == 2) ? A_FILE : A_DIRECTORY;
}

/* What the entries so far mean. */
static struct {
    enum kind kind; /* of this layer; never A_WHITEOUT */
    bool hides;     /* what is below */
} model[PATHS];

static void must(bool promise) {
    if (!promise)
        abort();
}

static unsigned child(unsigned path, unsigned name) {
    return NAMES * path + 1 + name;
}

static unsigned parent_of(unsigned path) {
    return (path - 1) / NAMES;
}

static void forget(unsigned path) {
    model[path].kind = NOTHING;
    model[path].hides = false;
    for (unsigned i = 0; path < INNER && i < NAMES; i++)
        forget(child(path, i));
}

/* The directories that lead to a path. False: there is a file on the way. */
static bool imply(unsigned path) {
    if (model[path].kind == A_FILE || (path > 0 && !imply(parent_of(path))))
        return false;
    model[path].kind = A_DIRECTORY;
    return true;
}

static bool put_file(unsigned path) {
    if (!imply(parent_of(path)))
        return false;
    forget(path);
    model[path].kind = A_FILE;
    model[path].hides = true;
    return true;
}

static bool put_directory(unsigned path) {
    if (path > 0 && !imply(parent_of(path)))
        return false;
    model[path].kind = A_DIRECTORY;
    return true;
}

static bool put_whiteout(unsigned path) {
    if (!imply(parent_of(path)))
        return false;
    model[path].hides = true;
    return true;
}

static bool put_opaque(unsigned path) {
    if (!imply(path))
        return false;
    model[path].hides = true;
    return true;
}

static size_t spell(unsigned path, char *text) {
    size_t size = path > NAMES ? spell(parent_of(path), text) : 0;

    if (path == 0)
        return 0;
    if (size > 0)
        text[size++] = '/';
    return size + (size_t)sprintf(text + size, "%s", names[(path - 1) % NAMES]);
}

/* The name of an entry: the path itself, or "dir/.wh.name", or "path/.wh..wh.what". */
static void name_entry(unsigned path, const char *prefix, const char *below, char *text) {
    size_t size = spell(*prefix ? parent_of(path) : path, text);

    if (size > 0 && (*prefix || *below))
        text[size++] = '/';
    sprintf(text + size, "%s%s%s", prefix, *prefix ? names[(path - 1) % NAMES] : "", below);
    if (*text == 0)
        strcpy(text, ".");
}

/* One entry into the archive and the model. False: the extractor must refuse it. */
static bool add(struct fuzz_archive *archive, uint8_t what, unsigned path) {
    static const struct {
        const char *prefix, *below;
        bool (*put)(unsigned path);
    } kinds[] = {
        {"", "", put_directory},
        {"", "", put_file},
        {".wh.", "", put_whiteout},
        {"", ".wh..wh..opq", put_opaque},
    };
    bool directory = what == 0;
    char name[64];

    if (what > 0 && what < 3 && path == 0)
        path = 1;
    name_entry(path, kinds[what].prefix, kinds[what].below, name);
    fuzz_entry(archive, directory ? '5' : '0', name, directory ? 0755 : 0644);
    return kinds[what].put(path);
}

static enum kind kind_of(int parent, const char *name) {
    struct stat status;

    if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) < 0) {
        must(errno == ENOENT);
        return NOTHING;
    }
    if (S_ISCHR(status.st_mode)) {
        must(status.st_rdev == 0);
        return A_WHITEOUT;
    }
    must(S_ISDIR(status.st_mode) || S_ISREG(status.st_mode));
    return S_ISDIR(status.st_mode) ? A_DIRECTORY : A_FILE;
}

static bool is_opaque(int directory, const char *mark) {
    char value;

    return fgetxattr(directory, mark, &value, 1) == 1 && value == 'y';
}

/* The view below a directory that exists in the upper layer: that of overlay, and that of the model. */
static void check(int upper, unsigned path, bool lower, const char *mark) {
    for (unsigned i = 0; path < INNER && i < NAMES; i++) {
        unsigned at = child(path, i);
        enum kind wanted = model[at].kind, found = kind_of(upper, names[i]);
        bool below = lower && lower_kind(path) == A_DIRECTORY && !model[at].hides;
        int directory;

        must(wanted == NOTHING ? found == NOTHING || found == A_WHITEOUT : found == wanted);
        /* A whiteout with nothing below it hides nothing, and may be left out. */
        if (wanted == NOTHING && lower && lower_kind(path) == A_DIRECTORY)
            must((found == A_WHITEOUT) == model[at].hides);
        if (found != A_DIRECTORY)
            continue;
        must((directory = openat(upper, names[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) >= 0);
        must(is_opaque(directory, mark) == model[at].hides);
        check(directory, at, below, mark);
        close(directory);
    }
}

static void unpack(int root, const struct fuzz_archive *archive, bool user_xattr, bool by_walk, bool good) {
    struct pyrt_layer_options options = {.umask_is_zero = false, .user_xattr = user_xattr, .by_walk = by_walk};
    struct pyrt_layer_stats stats;
    struct pyrt_error error = {0};
    struct pyrt_layer *layer = pyrt_layer_new(root, &options, &error);
    int failed;

    must(layer != NULL);
    failed = pyrt_layer_feed(layer, archive->bytes, archive->size, &error) < 0 ||
             pyrt_layer_finish(layer, &stats, &error) < 0;
    pyrt_layer_free(layer);
    must(failed == !good && (good || (error.step == PYRT_LAYER_PARENT && error.err == ENOTDIR)));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static struct fuzz_archive archive;
    struct fuzz_input input = {.at = bytes, .size = size < FUZZ_MAX_INPUT ? size : FUZZ_MAX_INPUT};
    uint8_t flags = fuzz_byte(&input);
    /* Who is not root has no trusted xattrs. */
    bool user_xattr = flags & 1 || geteuid() != 0, good = true;
    int root = fuzz_root("root");

    archive.size = 0;
    forget(0);
    model[0].kind = A_DIRECTORY;
    while (good && input.size > 0 && archive.size < sizeof archive.bytes / 2) {
        uint8_t what = fuzz_byte(&input);

        good = add(&archive, what & 3, (unsigned)fuzz_byte(&input) % (what & 4 ? INNER : PATHS));
    }
    fuzz_end(&archive);
    fuzz_watch();
    unpack(root, &archive, user_xattr, flags & 2, good);
    if (good)
        check(root, 0, true, user_xattr ? "user.overlay.opaque" : "trusted.overlay.opaque");
    close(root);
    fuzz_unchanged();
    fuzz_remove("root");
    return 0;
}
