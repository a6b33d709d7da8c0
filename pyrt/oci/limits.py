"""Every cap on what a layer may cost, in one table (those on documents stand in document.py and manifest.py).

An image is a stranger's file: nothing in it may decide how much memory, disk or time we spend. Where a limit could meet
an honest image, its size is explained.
"""

from __future__ import annotations

MAX_LAYER_BYTES = 1 << 40
"""One layer, unpacked."""

EXPANSION_RATIO, EXPANSION_GRACE = 200, 1 << 30
"""A layer may unpack to ``ratio * compressed + grace`` bytes. Honest layers expand 2 to 10 times; a preallocated
database file of zeros about 1000 times (deflate's maximum is 1032), which the grace covers up to a GiB. A bomb of 10
MiB stops at 3 GiB."""

ZSTD_WINDOW_LOG = 27
"""128 MiB, what the zstd command line accepts without --long=31 (RFC 8878, 3.1.1.1.2, recommends 8 MiB as a minimum).
"""

GZIP_HEADER = 1 << 20
"""Optional fields of a gzip member's header; at most 64 KiB and a file's name in honest ones."""

PARALLEL_BLOBS = 3
"""Blobs fetched at once, as docker does."""

QUEUED_COMPRESSED, QUEUED_PLAIN = 4 << 20, 8 << 20
"""Bytes that wait between the stages of one layer's pipeline."""

PLAIN_CHUNK = 1 << 20
"""Bytes that a decompressor gives at once."""
