#!/bin/sh
# The real BlueZ, in a virtual machine without a network: docs/bluez.md.
#   tests/bluez/run.sh [PYTHON]     PYTHON has pip (make bluez gives that of .venv)
# What it starts from is kept in $XDG_CACHE_HOME/zhenbao/bluez. Ends with 0 if every proof held, with 1 if one
# did not, with 3 if something is missing, with 124 if the time was up. Everything stops with this command.
set -eu

limit_s=1500
here=$(cd "$(dirname "$0")" && pwd)
tree=$(cd "$here/../.." && pwd)
python=${1:-python3}
cache="${XDG_CACHE_HOME:-$HOME/.cache}/zhenbao/bluez"

made=$(sh "$here/image.sh" "$cache" "$python")
eval "$made"

run=$(mktemp -d)
machine=""
trap '[ -z "$machine" ] || kill "$machine" 2>/dev/null; rm -rf "$run"' EXIT
trap 'exit 130' INT TERM
echo $((limit_s - 60)) >"$run/limit_s"
tar -cf "$run/tree.tar" --exclude=__pycache__ -C "$tree" zhenbao tests/bluez tests/bedside.py -C "$run" limit_s

echo "bluez: starting the machine (software emulation: about seven minutes, on a busy machine longer; at most $((limit_s / 60))) ..."
began=$(date +%s)
: >"$run/told"
# Nothing is written to the cached disks: changes to the root are thrown away, the others are read only.
timeout --kill-after=10 "$limit_s" qemu-system-x86_64 \
    -accel tcg,thread=multi -cpu max -m 1024 -smp 2 -nic none -no-reboot -display none -monitor none \
    -kernel "$kernel" -initrd "$initrd" \
    -append "console=ttyS0 root=/dev/vda rw quiet panic=-1 init=/zhenbao-init" \
    -drive "file=$root,format=raw,if=virtio,snapshot=on" \
    -drive "file=$site,format=raw,if=virtio,readonly=on" \
    -drive "file=$run/tree.tar,format=raw,if=virtio,readonly=on" \
    -device virtio-rng-pci -serial "file:$cache/console.log" -chardev stdio,id=told -serial chardev:told \
    </dev/null >"$run/told" 2>"$run/qemu.log" &
machine=$!
# In the background, so that a signal to this shell is answered at once; it ends with the machine.
tail -n +1 -f --pid="$machine" "$run/told" | sed -u 's/\r$//; /^ended /d' &
wait "$machine" || true
wait
machine=""
took_s=$(($(date +%s) - began))

ended=$(tr -d '\r' <"$run/told" | sed -n 's/^ended //p')
case "$ended" in
0) echo "bluez: every proof held, $took_s s in the machine" ;;
"")
    cat "$run/qemu.log" >&2
    [ "$took_s" -ge "$limit_s" ] && ended=124 || ended=1
    echo "bluez: the machine ended without a result after $took_s s; its console: $cache/console.log" >&2
    ;;
*) echo "bluez: NOT proved, $took_s s in the machine; its console: $cache/console.log" >&2 ;;
esac
exit "$ended"
