"""The kit's own sensor front-end: serial protocol, version 1 (docs/devices/front-end.md)."""
