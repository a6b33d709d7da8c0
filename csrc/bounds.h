/* Every bound on what a layer may ask of us, in one place. A layer is untrusted: what it can make large needs a row. */
#ifndef PYRT_BOUNDS_H
#define PYRT_BOUNDS_H

/* Bytes of all extension headers of one entry (pax x and g, GNU L and K). Real ones stay below 70 KB: one xattr of 64
   KB. */
#define PYRT_MAX_EXTENSION ((size_t)1 << 20)
/* Extension headers before one entry, and global headers between two entries. Writers make at most four. */
#define PYRT_MAX_EXTENSIONS_IN_A_ROW 16
/* Records of one pax header, those of a sparse map not counted (they have their own bound). */
#define PYRT_MAX_PAX_RECORDS 4096
/* Regions of a sparse file. */
#define PYRT_MAX_SPARSE_REGIONS 65536
/* Bytes of an entry's name or link target: the kernel's PATH_MAX without the final NUL. */
#define PYRT_MAX_NAME 4095
/* XATTR_NAME_MAX and XATTR_SIZE_MAX of the kernel. */
#define PYRT_MAX_XATTR_NAME 255
#define PYRT_MAX_XATTR_SIZE 65536
/* (uid_t)-1 means "leave as it is" to chown, so the largest id is one below. */
#define PYRT_MAX_ID 4294967294u
/* Linux device numbers: 12 bits of major, 20 bits of minor. */
#define PYRT_MAX_MAJOR 4095u
#define PYRT_MAX_MINOR 1048575u
/* Times are clamped to what ext4 and XFS can store: 1901 to 2446. */
#define PYRT_MIN_TIME (-(INT64_C(1) << 31))
#define PYRT_MAX_TIME ((INT64_C(1) << 34) - 1)
/* Names in link targets that all lookups of one layer may walk through, and on the way back for each "..". A merged /usr
   costs two for each directory that is opened; forty links of a path's length each cost eighty thousand. */
#define PYRT_MAX_DETOUR (UINT64_C(1) << 20)
/* Symbolic links followed in one resolution: MAXSYMLINKS of the kernel. */
#define PYRT_MAX_LINKS 40
/* How often a resolution is tried again when a rename elsewhere disturbed it. */
#define PYRT_MAX_RESOLVE_TRIES 64
/* Directories that an extractor keeps open. Three layers at once must fit into a soft limit of 1024 files. */
#define PYRT_MAX_OPEN_DIRECTORIES 128
/* Depth of a directory tree that an entry may replace; each level holds one file descriptor. */
#define PYRT_MAX_REMOVAL_DEPTH 128
/* Bytes of names of directories that a digest has still to enter: a million of them, and little enough for three layers
   at once. */
#define PYRT_MAX_PENDING ((size_t)32 << 20)
/* Bytes of memory for the attributes of directories, which wait for the end: enough for a quarter of a million of them,
   and little enough for three layers at once. */
#define PYRT_MAX_DEFERRED ((size_t)48 << 20)
/* What a caller gets who names no limits of his own: entries (with the directories that no entry names, xattrs, and
   regions of sparse files), and the sum of their apparent sizes. The largest images have half a million files. */
#define PYRT_DEFAULT_MAX_ENTRIES (UINT64_C(1) << 21)
#define PYRT_DEFAULT_MAX_BYTES (UINT64_C(1) << 40)

#endif
