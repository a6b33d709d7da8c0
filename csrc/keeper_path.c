/* The container's paths. The kernel resolves most of them by itself, and quickly(); here are those that lead through a place
 * which is served: walked name by name, each opened as itself (O_PATH|O_NOFOLLOW), so that a link always means something in
 * the container and ".." never asks the kernel. `done` is the way so far, without links; `rest` what is still to be walked. */
#include <linux/openat2.h>
#include <asm/stat.h>

#include "keeper.h"

#define MAX_LINKS 40
#define HERE (O_PATH | O_NOFOLLOW | O_CLOEXEC)

static struct {
    int place;
    int links, crossed;
    char done[PATH_SIZE];
    char rest[2 * PATH_SIZE], text[PATH_SIZE];
} way;
static int here = -1; /* O_PATH of what `done` names */

static void close_fd(int *fd) {
    if (*fd >= 0)
        call1(__NR_close, *fd);
    *fd = -1;
}

void found_close(struct found *found) {
    close_fd(&found->parent);
    close_fd(&found->fd);
}

int place_of(const char *path) {
    int best = 0;
    for (int i = 1; i < keeper.nplaces; i++)
        if (text_below(path, keeper.places[i].target, keeper.places[i].target_size) &&
            keeper.places[i].target_size > keeper.places[best].target_size)
            best = i;
    return best;
}

size_t path_inside(const char *host, char *inside, size_t size) {
    const struct place *best = 0;
    for (int i = 0; i < keeper.nplaces; i++) {
        const struct place *place = &keeper.places[i];
        if (text_below(host, place->source, place->source_size) && (!best || place->source_size > best->source_size))
            best = place;
    }
    if (!best || best->target_size + text_size(host) - best->source_size + 2 > size)
        return 0;
    char *end = text_add(text_add(inside, best->target), host + best->source_size);
    if (end == inside)
        end = text_add(inside, "/");
    return (size_t)(end - inside);
}

static long mode_of(int fd) {
    struct stat status;
    long result = call2(__NR_fstat, fd, (long)&status);
    return result < 0 ? result : (long)status.st_mode;
}

static size_t component(const char *path, char *name) {
    size_t size = 0;
    for (; path[size] && path[size] != '/'; size++)
        if (size + 1 < NAME_SIZE)
            name[size] = path[size];
    name[size < NAME_SIZE ? size : NAME_SIZE - 1] = 0;
    return size;
}

int open_directory(const char *path) {
    char name[NAME_SIZE];
    const struct place *place = &keeper.places[place_of(path)];
    long fd = call3(__NR_fcntl, place->fd, F_DUPFD_CLOEXEC, 0);
    for (path += place->target_size; fd >= 0;) {
        while (*path == '/')
            path++;
        if (!*path)
            break;
        path += component(path, name);
        long next = call4(__NR_openat, fd, (long)name, HERE | O_DIRECTORY, 0);
        call1(__NR_close, fd);
        fd = next;
    }
    return (int)fd;
}

/* Whether the kernel, too, finds what this path means: no link and no served place is on its way. Without ".." only. */
static int quickly(const char *path, unsigned how) {
    struct open_how open = {.flags = O_PATH | O_CLOEXEC | (how & FOLLOW ? 0 : O_NOFOLLOW),
                            .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS};
    if (place_of(path) != 0)
        return 0;
    long fd = call4(__NR_openat2, keeper.places[0].fd, (long)path, (long)&open, sizeof open);
    if (fd == -ENOENT || fd == -ENOTDIR)
        return 1;
    if (fd >= 0) {
        call1(__NR_close, fd);
        return 1;
    }
    if (fd != -ELOOP)
        return 0;
    /* Links are on the way: /lib and /bin of most images. Where it ends tells whether they matter. */
    open.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    fd = call4(__NR_openat2, keeper.places[0].fd, (long)path, (long)&open, sizeof open);
    if (fd < 0)
        return 0;
    char *host = way.rest, *inside = way.text;
    long length = fd_path((int)fd, host, PATH_SIZE);
    call1(__NR_close, fd);
    return length > 0 && path_inside(host, inside, PATH_SIZE) && place_of(inside) == 0;
}

/* Joins base and path, without "//" and "."; 0 where it is too long, or has "..". */
static int plain(const char *base, const char *path, char *to) {
    char *end = text_add(to, base);
    while (*path) {
        while (*path == '/')
            path++;
        size_t size = 0;
        while (path[size] && path[size] != '/')
            size++;
        if (size == 2 && path[0] == '.' && path[1] == '.')
            return 0;
        if (size > 0 && !(size == 1 && path[0] == '.')) {
            if ((size_t)(end - to) + size + 2 > PATH_SIZE)
                return 0;
            *end++ = '/';
            for (size_t i = 0; i < size; i++)
                *end++ = path[i];
        }
        path += size;
    }
    if (end == to)
        *end++ = '/';
    *end = 0;
    return 1;
}

/* One name that no place has, in a directory that the asker has open or works in: the kernel finds the same. */
static int is_simple(int dirfd, const char *path, unsigned how) {
    if (!(how & QUICK) || how & FOLLOW || (dirfd == AT_FDCWD && keeper.inside))
        return 0;
    for (const char *at = path; *at; at++)
        if (*at == '/')
            return 0;
    if (path[0] == '.' && path[1] == '.' && !path[2])
        return 0;
    for (int i = 1; i < keeper.nplaces; i++)
        if (text_same(path, keeper.places[i].name))
            return 0;
    return 1;
}

static long enter(int fd, int place) {
    close_fd(&here);
    here = fd;
    way.place = place;
    if (place != 0)
        way.crossed = 1;
    return fd < 0 ? fd : 0;
}

static long enter_done(void) {
    return enter(open_directory(way.done), place_of(way.done));
}

static long enter_parent(void) {
    char *end = way.done + text_size(way.done);
    while (end > way.done && *end != '/')
        end--;
    *end = 0;
    return enter_done();
}

/* Puts a link's text in front of what is still to be walked. */
static long splice(const char *text, const char *after) {
    size_t size = text_size(text), tail = text_size(after);
    static char kept[2 * PATH_SIZE];
    if (++way.links > MAX_LINKS)
        return -ELOOP;
    if (size == 0)
        return -ENOENT;
    if (size + tail + 2 > sizeof way.rest)
        return -ENAMETOOLONG;
    text_add(kept, after);
    text_add(text_add(way.rest, text), kept);
    if (text[0] != '/')
        return 0;
    way.done[0] = 0;
    return enter_done();
}

static int in_proc(void) {
    return keeper.places[way.place].flags & PYRT_PLACE_PROC;
}

static int at_top_of_proc(void) {
    return in_proc() && text_same(way.done, keeper.places[way.place].target);
}

/* What /proc/self is for the asker; 0 for another name. */
static int own_link(const struct asker *asker, const char *name, char *text) {
    int thread = text_same(name, "thread-self");
    if (!at_top_of_proc() || (!thread && !text_same(name, "self")))
        return 0;
    char *end = text_add_number(text, (unsigned long)asker->tgid);
    if (thread)
        text_add_number(text_add(end, "/task/"), (unsigned long)asker->tid);
    return 1;
}

/* The processes of others have no files in the container's /proc; their names are in the list that the kernel makes of it, and
 * whoever goes through that may look what they are. */
static int is_hidden(const struct asker *asker, const char *name, int looks) {
    if (looks || !at_top_of_proc() || *name < '0' || *name > '9')
        return 0;
    int pid = (int)text_number(&name, 10);
    return pid != asker->tgid && pid != asker->tid && !is_ours(pid);
}

static long finish(struct found *found, const char *name, int fd, unsigned mode, int place) {
    text_add(found->name, name);
    text_add(found->path, way.done);
    found->parent = here;
    here = -1;
    found->fd = fd;
    found->mode = mode;
    found->place = place;
    found->crossed = way.crossed || place != 0;
    return 0;
}

/* A link on the way, or at its end. 0 to go on, 1 when it is found. */
static long follow(struct asker *asker, const char *name, int link, int last, unsigned how, struct found *found) {
    const char *after = way.rest;
    int magic = in_proc() && !at_top_of_proc();
    if (!own_link(asker, name, way.text)) {
        long size = call4(__NR_readlinkat, link, (long)"", (long)way.text, sizeof way.text - 1);
        if (size < 0)
            return size;
        way.text[size] = 0;
    }
    if (how & MIRROR && way.place != 0 && !magic) {
        found->place = way.place;
        text_add(found->path, way.done);
        long result = mirror_entry(found, name, LINK, way.text);
        if (result < 0)
            return result;
    }
    if (!magic)
        return splice(way.text, after);
    static char inside[PATH_SIZE];
    size_t known = path_inside(way.text, inside, sizeof inside);
    if (known && (!last || how & MIRROR)) {
        found->place = way.place;
        text_add(found->path, way.done);
        long result = how & MIRROR ? mirror_entry(found, name, LINK, inside) : 0;
        return result < 0 ? result : splice(inside, after);
    }
    if (!last)
        return -ENOENT;
    /* The object itself, be it a pipe or a file without a name. */
    long fd = call4(__NR_openat, here, (long)name, O_PATH | O_CLOEXEC, 0);
    if (fd < 0)
        return fd;
    int place = known ? place_of(inside) : way.place;
    found->magic = 1;
    finish(found, name, (int)fd, (unsigned)mode_of((int)fd), place);
    return 1;
}

/* One name. 0 to go on, 1 when it is found, or a negative errno. */
static long step(struct asker *asker, const char *name, int last, unsigned how, struct found *found) {
    size_t size = text_size(way.done);
    if (size + text_size(name) + 2 > sizeof way.done)
        return -ENAMETOOLONG;
    text_add(text_add(way.done + size, "/"), name);
    int place = place_of(way.done), covered = place != 0 && text_same(way.done, keeper.places[place].target);
    way.done[size] = 0;
    long fd = is_hidden(asker, name, last && how & LOOK) ? -ENOENT
              : covered              ? call3(__NR_fcntl, keeper.places[place].fd, F_DUPFD_CLOEXEC, 0)
                                     : call4(__NR_openat, here, (long)name, HERE, 0);
    if (fd == -ENOENT && last) {
        finish(found, name, -1, 0, way.place);
        return 1;
    }
    if (fd < 0)
        return fd;
    int opened = (int)fd;
    long mode = covered ? (long)keeper.places[place].mode : mode_of(opened);
    long result = mode < 0 ? mode : 0;
    if (result == 0 && IS(mode, LINK) && (!last || how & FOLLOW || found->slash)) {
        result = follow(asker, name, opened, last, how, found);
        close_fd(&opened);
        return result;
    }
    if (result == 0 && !last && !IS(mode, DIRECTORY))
        result = -ENOTDIR;
    if (result == 0 && how & MIRROR && way.place != 0 && !covered && IS(mode, DIRECTORY)) {
        found->place = way.place;
        text_add(found->path, way.done);
        result = mirror_entry(found, name, DIRECTORY, 0);
    }
    if (result < 0) {
        close_fd(&opened);
        return result;
    }
    if (last) {
        finish(found, name, opened, (unsigned)mode, covered ? place : way.place);
        if (covered)
            close_fd(&found->parent);
        return 1;
    }
    text_add(text_add(way.done + size, "/"), name);
    return enter(opened, place);
}

static long walk(struct asker *asker, unsigned how, struct found *found) {
    char name[NAME_SIZE];
    long result = 0;
    while (result == 0) {
        const char *at = way.rest;
        while (*at == '/')
            at++;
        size_t size = component(at, name);
        if (size >= NAME_SIZE)
            return -ENAMETOOLONG;
        const char *after = at + size;
        const char *more = after;
        while (*more == '/')
            more++;
        if (size == 0) { /* the directory where we are */
            long fd = call3(__NR_fcntl, here, F_DUPFD_CLOEXEC, 0);
            if (fd < 0)
                return fd;
            finish(found, "", (int)fd, (unsigned)mode_of((int)fd), way.place);
            close_fd(&found->parent);
            return 0;
        }
        int last = !*more; /* of what is in `rest`, which moves now */
        found->slash = *after == '/' && last;
        size_t shift = (size_t)(after - way.rest), left = text_size(after);
        for (size_t i = 0; i <= left; i++)
            way.rest[i] = way.rest[shift + i];
        if (text_same(name, ".."))
            result = enter_parent();
        else if (!text_same(name, "."))
            result = step(asker, name, last, how, found);
        else if (last)
            way.rest[0] = 0;
    }
    return result < 0 ? result : 0;
}

/* The asker's working directory, or what dirfd is, as a path of the container. */
static long base_of(const struct asker *asker, int dirfd, char *base) {
    static char host[PATH_SIZE];
    long size = dirfd == AT_FDCWD ? asker_link(asker, "cwd", -1, host, sizeof host)
                                  : asker_link(asker, "fd/", dirfd, host, sizeof host);
    if (size <= 0 || !path_inside(host, base, PATH_SIZE))
        return UNKNOWN;
    if (text_same(base, "/"))
        base[0] = 0;
    return 0;
}

static int has_other_root(const struct asker *asker) {
    static char host[PATH_SIZE];
    return asker_link(asker, "root", -1, host, sizeof host) <= 0 || !text_same(host, keeper.places[0].source);
}

long find(struct asker *asker, int dirfd, const char *path, unsigned how, struct found *found) {
    static char base[PATH_SIZE], whole[PATH_SIZE];
    found->parent = found->fd = -1;
    found->crossed = found->magic = found->slash = 0;
    found->name[0] = found->path[0] = base[0] = 0;
    if (!path[0] || (path[0] != '/' && is_simple(dirfd, path, how)))
        return UNKNOWN;
    if (path[0] == '/' && !keeper.nested && plain("", path, whole) && quickly(whole, how))
        return UNKNOWN;
    long result = asker_become(asker);
    if (result < 0 || (keeper.nested && has_other_root(asker)))
        return UNKNOWN;
    if (path[0] != '/') {
        if (base_of(asker, dirfd, base) != 0)
            return UNKNOWN;
        asker_leave();
        if (plain(base, path, whole) && quickly(whole, how))
            return UNKNOWN;
        asker_become(asker);
    }
    way.links = way.crossed = 0;
    text_add(way.done, base);
    text_add(way.rest, path);
    result = enter_done();
    if (result == 0)
        result = walk(asker, how, found);
    close_fd(&here);
    if (result == 0 && found->slash && found->mode && !IS(found->mode, DIRECTORY))
        result = -ENOTDIR;
    if (!found->crossed && !way.crossed)
        return UNKNOWN;
    return result;
}
