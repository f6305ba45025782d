"""Bytes to measurements: the only place of device input and output.

Codecs are pure; ``links`` holds what touches a radio or a port; one folder a device.
"""
