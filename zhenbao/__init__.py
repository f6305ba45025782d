"""Zhenbao 诊包: the village doctor's diagnostic kit and the county hub behind it. See ARCHITECTURE.md."""

__version__ = "0.1.0"
