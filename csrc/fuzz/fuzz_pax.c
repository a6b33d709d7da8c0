/* The records of pax headers, as an entry's own and as global ones, twice into the same place. */
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "pax.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void check(const struct pyrt_pax *pax) {
    if (pax->set & PYRT_PAX_PATH && strlen(pyrt_pax_text(pax, pax->path)) != pax->path.size)
        abort();
    if (pax->set & PYRT_PAX_LINK && strlen(pyrt_pax_text(pax, pax->link)) != pax->link.size)
        abort();
    if ((pax->set & PYRT_PAX_UID && pax->uid > PYRT_MAX_ID) || pax->map.count > PYRT_MAX_SPARSE_REGIONS)
        abort();
    for (size_t i = 0; i < pax->xattr_count; i++)
        if (strlen(pyrt_pax_text(pax, pax->xattrs[i].name)) != pax->xattrs[i].name.size)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct pyrt_pax pax = {0};
    struct timespec time;

    if (pyrt_pax_time((const char *)bytes, size, &time) && (time.tv_nsec < 0 || time.tv_nsec > 999999999))
        abort();
    for (int global = 0; global < 2; global++) {
        if (pyrt_pax_read(&pax, bytes, size, global) == 0)
            check(&pax);
        if (pyrt_pax_read(&pax, bytes, size, global) == 0)
            check(&pax);
        pyrt_pax_clear(&pax);
    }
    if (pyrt_pax_keep(&pax, PYRT_PAX_PATH, bytes, size) == 0)
        check(&pax);
    pyrt_pax_free(&pax);
    return 0;
}
