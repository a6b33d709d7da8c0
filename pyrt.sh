#!/bin/sh
# pyrt.sh WORDS...: pyrt with these words, in a container of docker or podman: for macOS, for Windows (in WSL2), and wherever
# else there is an engine and no Linux of your own. The first call builds the image from the Dockerfile beside this script.
#
#   ./pyrt.sh run ubuntu:latest echo "hello world"
#
# The current directory is there under its own name, a terminal is passed on, and the exit code is pyrt's. Settings:
#   PYRT_ENGINE       docker, podman, or another program that takes their words; else the first of the two that answers
#   PYRT_SH_OPTIONS   more options for the engine's "run", as '--cap-add SYS_ADMIN', which gives pyrt better means
#   PYRT_SH_IMAGE     an image that is there already, instead of the one that is built
#   PYRT_SH_QUIET     anything: "run" does not say which isolation it got
set -eu

fail() { printf '%s\n' "pyrt.sh: $*" >&2; exit 125; }

here=$(cd "$(dirname "$0")" && pwd)

# Whether the engine's other half is there: a daemon, or the virtual machine that it runs in.
answers() { "$1" version >/dev/null 2>&1; }

start="start it first (Docker Desktop; colima start; podman machine start; systemctl start docker)"

find_engine() {
    if [ -n "${PYRT_ENGINE-}" ]; then
        engine=$PYRT_ENGINE
        command -v "$engine" >/dev/null || fail "PYRT_ENGINE=$engine: there is no such program"
        answers "$engine" || fail "$engine: no answer; $start"
        return
    fi
    silent=
    for engine in docker podman; do
        if command -v "$engine" >/dev/null; then
            if answers "$engine"; then return; fi
            silent="$silent${silent:+ and }$engine"
        fi
    done
    [ -z "$silent" ] || fail "$silent: no answer; $start"
    fail "there is neither docker nor podman: install Docker Desktop, colima or podman"
}

find_image() {
    image=${PYRT_SH_IMAGE-}
    [ -z "$image" ] || return 0
    version=$(sed -n 's/^VERSION = "\(.*\)"$/\1/p' "$here/pyrt/_version.py" 2>/dev/null) || :
    [ -n "$version" ] || fail "$here is no clone of pyrt: run this script where the Dockerfile is, or set PYRT_SH_IMAGE"
    image=pyrt-runtime:$version
    if "$engine" image inspect "$image" >/dev/null 2>&1; then return; fi
    printf '%s\n' "pyrt.sh: building the image $image, once" >&2
    "$engine" build --tag "$image" "$here" >&2 || fail "the image could not be built, see above"
}

find_engine
find_image

# The container has directories of its own under these names.
directory=$(pwd -P)
case $directory in
/ | /bin | /boot | /dev | /dev/* | /etc | /etc/* | /lib | /lib32 | /lib64 | /libx32 | /opt | /opt/pyrt | /opt/pyrt/* | /proc | /proc/* | \
    /run | /sbin | /sys | /sys/* | /usr | /usr/bin | /usr/lib | /usr/local | /usr/local/bin | /usr/sbin | /usr/share | \
    /var | /var/lib | /var/lib/pyrt | /var/lib/pyrt/*) fail "$directory: start it in a directory of your own" ;;
*:*) fail "$directory: docker and podman take no volume whose name has a colon" ;;
esac

# With a terminal, both outputs become one: only where none of the three goes elsewhere.
terminal=
if [ -t 0 ] && [ -t 1 ] && [ -t 2 ]; then terminal=--tty; fi

# shellcheck disable=SC2086 # options of several words, or of none
exec "$engine" run --rm --interactive $terminal \
    --volume pyrt-store:/var/lib/pyrt --volume "$directory:$directory" --workdir "$directory" \
    --env TERM --env NO_COLOR --env PYRT_STRICT --env PYRT_SH_QUIET \
    --env HTTP_PROXY --env HTTPS_PROXY --env NO_PROXY --env http_proxy --env https_proxy --env no_proxy \
    ${PYRT_SH_OPTIONS-} "$image" "$@"
