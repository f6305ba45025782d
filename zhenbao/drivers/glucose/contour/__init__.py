"""Contour meters on a serial line: ASTM E1381 frames with E1394 records."""
