# pyrt in a container: for macOS, for Windows (WSL2), and for every machine that has docker or podman and no Linux of your own.
# ./pyrt.sh builds it and runs it (docs/macos-and-windows.md).
#
# No USER line, although pyrt does not run as root where it need not. In Docker's default sandbox an ordinary user may make no
# user namespace, and may not call chroot either: containers are root's there, by chroot alone. So docker/entry begins as root,
# asks pyrt what an ordinary user would get here, and gives root up for good wherever that is a user namespace: in podman, with
# --cap-add SYS_ADMIN, with another seccomp profile. Nothing beyond docker's default is asked for in either case.
#
# BASE may be any Debian or Ubuntu whose Python is 3.10 or newer.
ARG BASE=debian:trixie-slim

FROM ${BASE} AS build
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      python3 python3-venv python3-dev gcc libc6-dev ca-certificates
COPY . /source
RUN python3 -m venv /opt/pyrt \
 && /opt/pyrt/bin/pip install --no-cache-dir --disable-pip-version-check /source \
 && /opt/pyrt/bin/pip uninstall -y pip setuptools

FROM ${BASE}
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      python3 ca-certificates uidmap libcap2-bin \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin \
# As set-user-id programs they would need CAP_SYS_ADMIN to write the map, which a container's root does not have.
 && chmod u-s /usr/bin/newuidmap /usr/bin/newgidmap \
 && setcap cap_setuid=ep /usr/bin/newuidmap \
 && setcap cap_setgid=ep /usr/bin/newgidmap
COPY --from=build /opt/pyrt /opt/pyrt
COPY docker/entry /opt/pyrt/bin/entry
ENV PATH=/opt/pyrt/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# Images, containers and logins, of each user in a directory of its own.
VOLUME /var/lib/pyrt
ENTRYPOINT ["entry"]
CMD ["--help"]
