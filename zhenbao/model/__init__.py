"""Values that every room shares. Nothing here reads a clock, a file, a device or a network."""
