"""Weighing scales (Bluetooth Weight Scale Service, 181D)."""
