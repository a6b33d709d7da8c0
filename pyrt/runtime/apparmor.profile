# What a container of pyrt may do by default: apparmor.d(5). The yardstick is docker's profile "docker-default".
#
# It is the second wall behind capabilities, seccomp, masked and read-only paths: it stands where those were opened one by one
# (--cap-add, --security-opt seccomp=unconfined, systempaths=unconfined), and is lifted as a whole by apparmor=unconfined.
# The name carries a number that changes with each change of the text (pyrt/runtime/apparmor.py), so that two versions of
# pyrt do not take each other's profile away. No include: the same on every distribution.
#
# attach_disconnected, mediate_deleted: stdin, stdout and stderr come from the host, and have no path in the container.
profile pyrt-default-1 flags=(attach_disconnected, mediate_deleted) {
  # What is not listed is refused: mount, umount, pivot_root, change_profile, D-Bus.
  file,
  capability,
  network,

  # AF_ALG has given root away more than once; userspace has the same ciphers.
  deny network alg,

  deny mount,
  deny umount,
  deny pivot_root,

  # Among themselves. An unconfined tracer needs no rule here.
  ptrace (trace, read, tracedby, readby) peer=pyrt-default-1,
  # Whom it may send to is limited; who may send to it is the affair of the sender's own profile: pyrt, or what ends a
  # container on the host, may run under any profile, as Ubuntu's "unconfined" ones that have a name.
  signal (send) peer=pyrt-default-1,
  signal (receive),

  # /proc: only what belongs to processes may be written. Files right below it, directories without a number:
  deny /proc/* w,
  deny /proc/[^0-9s]*/** w,
  deny /proc/s[^y]*/** w,
  deny /proc/sy[^s]*/** w,
  deny /proc/sys[^/]*/** w,
  deny /proc/sysrq-trigger rwklx,
  deny /proc/kcore rwklx,
  # Of /proc/sys kernel/shm*, which belongs to the ipc namespace:
  deny /proc/sys/* w,
  deny /proc/sys/[^k]*/** w,
  deny /proc/sys/k[^e]*/** w,
  deny /proc/sys/ke[^r]*/** w,
  deny /proc/sys/kernel/[^s]** w,
  deny /proc/sys/kernel/s[^h]** w,
  deny /proc/sys/kernel/sh[^m]** w,

  # /sys: nothing may be written but cgroups, where they are mounted writable.
  deny /sys/* wklx,
  deny /sys/[^f]*/** wklx,
  deny /sys/f[^s]*/** wklx,
  deny /sys/fs[^/]*/** wklx,
  deny /sys/fs/* wklx,
  deny /sys/fs/[^c]*/** wklx,
  deny /sys/fs/c[^g]*/** wklx,
  deny /sys/fs/cg[^r]*/** wklx,
  # Nor read, what tells of the host: its firmware, its power meter (a side channel), its security modules.
  deny /sys/firmware/** rwklx,
  deny /sys/devices/virtual/powercap/** rwklx,
  deny /sys/kernel/security/** rwklx,
}
