"""Every bound on what a registry, an archive or an image may cost, in one table; C's part of it is csrc/bounds.h.

An image is a stranger's file: nothing in it may decide how much memory, disk or time we spend. Where a bound could meet
an honest image, its size is explained. docs/bounds.md is made from this file: names end in what is counted, ``_BYTES``,
``_SECONDS``, or nothing for a plain number.
"""

from __future__ import annotations

# Documents: manifests, indexes, configurations

JSON_BYTES = 4 << 20
"""One JSON document: manifest, index, configuration. docker's bound; large honest ones have 100 KiB."""

JSON_DEPTH = 64
"""Levels of nesting in one document."""

JSON_VALUES = 100_000
"""Values in one document: a value costs Python a hundred bytes where the document spends three."""

JSON_DIGITS = 20
"""Digits of an integer in a document: 2**64 has twenty."""

INDEX_DEPTH = 4
"""Indexes between a name and its manifest."""

INDEX_ENTRIES = 5_000
"""Entries of one index."""

LAYERS = 500
"""Layers of one image: overlayfs stacks no more (OVL_MAX_STACK)."""

SCHEMA1_STEPS = 2_000
"""Steps of a schema 1 manifest, those without a layer among them."""

SCHEMA1_SIGNATURES = 16
"""Signatures of a schema 1 manifest: each of them means another look at the whole."""

REFERENCE_BYTES = 1024
"""An image's name as a user types it."""

REPOSITORY_BYTES = 255
"""The repository in it, as in distribution's grammar."""

# Registry: sizes

ANSWER_BYTES = 1 << 20
"""A token server's answer, and that to /v2/."""

ERROR_BYTES = 1 << 20
"""The body of an error; what is more is not read."""

HEADER_BYTES = 1 << 20
"""The head of one answer and all provisional answers before it. h11 bounds one header block by 100 KiB by itself."""

FRAMING_RATIO = 2
"""Bytes on the wire for one byte of a chunked body: chunks of one byte have six, honest ones hardly more than one."""

FRAMING_GRACE_BYTES = 512 << 10
"""What chunk sizes and trailers may cost before their ratio counts."""

UNSIZED_BLOB_BYTES = 32 << 30
"""A layer whose manifest does not say its size (schema 1); all others end at their size."""

REDIRECTS = 10
"""Redirects of one request, as containerd has it."""

TOKEN_REDIRECTS = 5
"""Redirects of one request for a token."""

LOGINS = 4
"""How often one request is sent again because the registry wants another login."""

CHALLENGE_BYTES = 16 << 10
"""All WWW-Authenticate headers of one answer."""

CHALLENGES = 32
"""Ways to log in that one answer offers."""

TAG_PAGES = 1_000
"""Pages of a list of tags."""

TAGS = 100_000
"""Tags of one repository."""

CREDENTIAL_FILE_BYTES = 1 << 20
"""auth.json or config.json."""

# Registry: time

CONNECT_SECONDS = 10.0
"""Until a connection stands, TLS included."""

PROBE_SECONDS = 3.0
"""Until a host where plain http is allowed too has shown that it speaks TLS."""

HEADER_SECONDS = 30.0
"""Until the head of an answer is complete, however it drips."""

DOCUMENT_SECONDS = 60.0
"""Until an answer that is a document is complete behind its head: for 4 MiB, 70 KB/s; for an honest manifest, anything.
"""

PROGRESS_SECONDS = 60.0
"""The longest wait for the next ``PROGRESS_BYTES`` of a blob. Time in which we do not read does not count."""

PROGRESS_BYTES = 1 << 10
"""See ``PROGRESS_SECONDS``."""

TRIES = 5
"""Tries of one request; a blob of which another MiB has arrived has all of them again."""

PAUSE_SECONDS = 30.0
"""The longest pause before another try that we choose ourselves."""

RETRY_AFTER_SECONDS = 60.0
"""The longest pause that a registry may ask for (Retry-After); more is a refusal."""

RETRY_BUDGET_SECONDS = 180.0
"""All pauses of one request."""

HELPER_SECONDS = 30.0
"""One call of a credential helper."""

# Layers

LAYER_BYTES = 1 << 40
"""One layer, unpacked."""

EXPANSION_RATIO = 200
"""A layer may unpack to so many times the bytes that have come so far, and ``EXPANSION_GRACE_BYTES``. Honest layers
expand 2 to 10 times. A bomb of 10 MiB stops at 3 GiB."""

EXPANSION_GRACE_BYTES = 1 << 30
"""A preallocated database file of zeros shrinks a thousand times (deflate's maximum is 1032); this covers one of a GiB.
"""

IMAGE_GRACE_BYTES = 4 << 30
"""The same for all layers of an image together: four such files, and not one in each of 500 layers."""

ZSTD_WINDOW_LOG = 27
"""128 MiB, what the zstd command line accepts without --long=31 (RFC 8878, 3.1.1.1.2, recommends 8 MiB as a minimum).
"""

ZSTD_SHARED_WINDOW_LOG = 23
"""8 MiB, what all levels up to 19 use. Layers with a larger window are decompressed one at a time, so that three of them
do not need three times the memory."""

MEMBERS = 1 << 20
"""gzip members or zstd frames of one layer: eStargz and zstd:chunked have one for each file."""

GZIP_HEADER_BYTES = 1 << 20
"""Optional fields of a gzip member's header; at most 64 KiB and a file's name in honest ones."""

PARALLEL_BLOBS = 3
"""Blobs fetched at once, as docker does."""

QUEUED_COMPRESSED_BYTES = 4 << 20
"""What waits between download and decompression of one layer."""

QUEUED_PLAIN_BYTES = 8 << 20
"""What waits between decompression and unpacking of one layer."""

PLAIN_CHUNK_BYTES = 1 << 20
"""What a decompressor gives at once."""

# Archives: docker-archive, oci-archive

ARCHIVE_MANIFEST_BYTES = 1 << 20
"""manifest.json of a docker-archive."""

ARCHIVE_MEMBERS = 20_000
"""Files in one archive."""

ARCHIVE_LINKS = 8
"""Links from one member of a docker-archive to the next."""

XZ_MEMORY_BYTES = 96 << 20
"""What an archive that is compressed with xz may need: xz -9 wants 65 MiB, the format allows 4 GiB."""

# An image's own files that we read: passwd, group

TREE_LINKS = 40
"""Symbolic links on the way to one file: MAXSYMLINKS of the kernel."""

TREE_STEPS = 4_096
"""Names on the way to one file, those of the links among them."""

TREE_FILE_BYTES = 10 << 20
"""/etc/passwd or /etc/group; more is no such file."""
