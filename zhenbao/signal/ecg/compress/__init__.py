"""Waveforms packed without loss, in parts that stand alone. The format is in ``docs/ecg-codec.md``."""

from zhenbao.signal.ecg.compress.parts import Compressor, Decoded, Piece, compress, decompress

__all__ = ["Compressor", "Decoded", "Piece", "compress", "decompress"]
