#!/bin/sh
# Inside the virtual machine: the system's Bluetooth, then the proofs. What it says goes to the second serial port.
exec >/dev/ttyS1
export PYTHONPATH=/tree:/tree/tests:/packages PYTHONUNBUFFERED=1

echo "machine up after $(cut -d' ' -f1 /proc/uptime) s: Linux $(uname -r), BlueZ $(/usr/libexec/bluetooth/bluetoothd --version), $(python3 --version)"
modprobe hci_vhci || echo "the kernel has no hci_vhci"
mkdir -p /run/dbus
dbus-uuidgen --ensure
dbus-daemon --system --fork
/usr/libexec/bluetooth/bluetoothd --nodetach >/tmp/bluetoothd.log 2>&1 &

cd /tree
timeout --kill-after=5 "$(cat /tree/limit_s)" python3 tests/bluez/proofs.py
ended=$?
sed 's/^/bluetoothd: /' /tmp/bluetoothd.log >/dev/ttyS0
echo "ended $ended"
