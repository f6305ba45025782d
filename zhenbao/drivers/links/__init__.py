"""Bluetooth and serial: the only input and output of the drivers."""
