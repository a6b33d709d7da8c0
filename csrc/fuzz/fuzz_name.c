/* Names of entries and whiteouts: what comes out is a path below the root. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "entry_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void must(int promise) {
    if (!promise)
        abort();
}

static void check_components(const struct pyrt_name *name) {
    must(strlen(name->text) == name->size && name->parent <= name->base && name->base <= name->size);
    must(name->text[0] != '/' && (name->size == 0 || name->text[name->size - 1] != '/'));
    must(strstr(name->text, "//") == NULL && strchr(name->text + name->base, '/') == NULL);
    for (const char *at = name->text; at != NULL && *at != 0;) {
        const char *slash = strchr(at, '/');
        size_t size = slash ? (size_t)(slash - at) : strlen(at);
        must(size > 0 && !(size == 1 && at[0] == '.') && !(size == 2 && at[0] == '.' && at[1] == '.'));
        at = slash ? slash + 1 : NULL;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static struct pyrt_name name;

    /* The parser lets no NUL through. */
    size = strnlen((const char *)bytes, size);
    if (pyrt_name_set(&name, (const char *)bytes, size) < 0)
        return 0;
    check_components(&name);
    if (pyrt_whiteout_of(&name) == PYRT_HIDES) {
        const char *hidden = name.text + name.base + PYRT_WHITEOUT_SIZE;
        must(strcmp(hidden, "") != 0 && strcmp(hidden, ".") != 0 && strcmp(hidden, "..") != 0);
    }
    return 0;
}
