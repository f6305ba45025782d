#!/bin/sh
# The guest's first process: it mounts what it was given, starts D-Bus, and hands over to the tree's guest.sh.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mount -o ro /dev/vdb /packages
tar -xf /dev/vdc -C /tree
sh /tree/tests/bluez/guest.sh
echo o >/proc/sysrq-trigger
sleep 60
