#!/bin/sh
# Builds, once, what the virtual machine starts from, and prints where it lies:
#   root-*.ext4, vmlinuz-*, initrd-*   Debian with its kernel, BlueZ, D-Bus and Python (debootstrap, as root, two minutes)
#   packages-*.ext4                    the Python packages of this project, at its pins, for the guest's Python
# Each name carries a sum of what it is made from, so a changed recipe or pin makes a new one and an old one is never used.
set -eu

cache=$1 python=$2
here=$(cd "$(dirname "$0")" && pwd)
tree=$(cd "$here/../.." && pwd)
suite=bookworm guest_python=3.11
packages=linux-image-amd64,bluez,dbus,kmod,python3

say() { echo "bluez: $*" >&2; }

fail() {
    say "$*"
    exit 3
}

# Room for the files themselves and what a file system needs to grow.
disk() {
    size_mib=$(($(du --summarize --block-size=1M "$1" | cut -f1) * 5 / 4 + 64))
    truncate --size "${size_mib}M" "$2"
    mke2fs -q -t ext4 -O ^has_journal -d "$1" "$2" >&2
}

requirements=$("$python" -c '
import sys, tomllib
with open(sys.argv[1], "rb") as file:
    project = tomllib.load(file)["project"]
print(*project["dependencies"], *project["optional-dependencies"]["hci"], sep="\n")
' "$tree/pyproject.toml")

recipe=$( (echo "$suite $packages" && cat "$here/init.sh") | sha256sum | cut -c1-12)
pins=$( (echo "$guest_python $requirements" && cat "$tree/constraints.txt") | sha256sum | cut -c1-12)
root="$cache/root-$recipe.ext4" kernel="$cache/vmlinuz-$recipe" initrd="$cache/initrd-$recipe"
site="$cache/packages-$pins.ext4"

missing=""
need() { missing="$missing
    $*"; }
command -v qemu-system-x86_64 >/dev/null || need "qemu-system-x86_64 (Debian package qemu-system-x86)"
[ -e "$root" ] && [ -e "$site" ] || command -v mke2fs >/dev/null || need "mke2fs (Debian package e2fsprogs)"
if [ ! -e "$root" ]; then
    command -v debootstrap >/dev/null || need "debootstrap (Debian package debootstrap)"
    [ "$(id -u)" = 0 ] || need "root, this once, to build the root file system with debootstrap"
fi
[ -z "$missing" ] || fail "cannot run here; missing:$missing"

mkdir -p "$cache"
work=$(mktemp -d "$cache/building-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

if [ ! -e "$root" ]; then
    say "building the root file system from Debian's mirror (once; about two minutes, 400 MB of packages) ..."
    debootstrap --arch=amd64 --variant=minbase --include="$packages" "$suite" "$work/root" ${ZHENBAO_DEBIAN_MIRROR:-} \
        >"$cache/debootstrap.log" 2>&1 || {
        tail -n 5 "$cache/debootstrap.log" >&2
        fail "debootstrap failed; all it said is in $cache/debootstrap.log"
    }
    rm -rf "$work/root/var/cache/apt" "$work/root/var/lib/apt/lists" "$work/root/usr/share/doc"
    install -m 755 "$here/init.sh" "$work/root/zhenbao-init"
    mkdir -p "$work/root/packages" "$work/root/tree"
    disk "$work/root" "$work/root.ext4"
    cp "$work"/root/boot/vmlinuz-* "$kernel"
    cp "$work"/root/boot/initrd.img-* "$initrd"
    mv "$work/root.ext4" "$root"
fi

if [ ! -e "$site" ]; then
    say "fetching the Python packages for the guest (once for these pins) ..."
    echo "$requirements" >"$work/requirements.txt"
    "$python" -m pip install -qq --disable-pip-version-check --no-compile --target "$work/site" \
        --implementation cp --python-version "$guest_python" --only-binary=:all: \
        --platform manylinux2014_x86_64 --platform manylinux_2_28_x86_64 \
        --constraint "$tree/constraints.txt" --requirement "$work/requirements.txt" >&2 ||
        fail "pip could not fetch the Python packages"
    "$python" -m compileall -q "$work/site" >/dev/null || true
    disk "$work/site" "$work/site.ext4"
    mv "$work/site.ext4" "$site"
fi

echo "root=$root kernel=$kernel initrd=$initrd site=$site"
