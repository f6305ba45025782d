"""Size of packed 12-lead recordings beside FLAC, xz and zlib, in one run.

.venv/bin/python tests/benchmarks/ecg_compress.py

FLAC (Debian package ``flac``) at its best setting; for each recording the smaller of one file for each lead and files
of eight leads. A script, not a test.
"""

from __future__ import annotations

import lzma
import shutil
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "validation"))
from recordings import DATA

from zhenbao.model.ecg import LEADS
from zhenbao.signal.ecg.compress import compress, decompress

Samples = NDArray[np.int16]
SETTINGS = (["-8", "-e", "-p"], ["-8", "-b", "2500", "--lax"])


def recordings() -> Iterator[tuple[str, Samples]]:
    """Database and samples; every tenth of the 400 phone recordings."""
    for file in sorted((DATA / "data" / "cinc2021").glob("*.mat")):
        # MATLAB 4 files: 24 bytes before the samples.
        samples = np.frombuffer(file.read_bytes()[24:], "<i2").reshape(-1, 12).T
        yield f"CinC 2021 {file.name[:2].rstrip('0123456789')}, 1 uV", samples.copy()
    file = DATA / "data" / "cinc2011" / "cinc2011.npz"
    if file.is_file():
        for samples in np.load(file)["ecg_lsb"][::10]:
            yield "CinC 2011, 5 uV", samples.astype(np.int16)


def flac(samples: Samples) -> int:
    """Bytes."""
    sizes = []
    for setting in SETTINGS:
        for together in (1, 8):
            total = 0
            for start in range(0, len(samples), together):
                some = samples[start : start + together]
                raw = ["--force-raw-format", "--endian=little", "--sign=signed", "--bps=16", "--sample-rate=500"]
                command = ["flac", "-s", *raw, f"--channels={len(some)}", "--no-padding", "--no-seektable"]
                done = subprocess.run(
                    [*command, *setting, "-c", "-"],
                    input=some.T.astype("<i2").tobytes(),
                    capture_output=True,
                    check=True,
                )
                total += len(done.stdout)
            sizes.append(total)
    return min(sizes)


def main() -> None:
    """Print the table."""
    if not shutil.which("flac"):
        sys.exit("FLAC is missing; on Debian: apt install flac")
    rows: dict[str, NDArray[np.float64]] = {}
    for name, samples in recordings():
        started = time.process_time()
        packed = compress(samples, LEADS)
        written = time.process_time()
        (piece,) = decompress(packed).pieces
        read = time.process_time()
        assert np.array_equal(piece.samples, samples)
        raw = samples.T.tobytes()
        sizes = [len(packed), flac(samples), len(lzma.compress(raw, preset=9)), len(zlib.compress(raw, 9)), len(raw)]
        row = np.array([1, *sizes, written - started, read - written], float)
        rows[name] = rows.get(name, 0) + row
        rows["all"] = rows.get("all", 0) + row
    print("| recordings | number | ours by FLAC | by xz | by zlib | by raw | bits a sample | pack s | unpack s |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, row in sorted(rows.items()):
        count, ours, *others, pack_s, unpack_s = row.tolist()
        ratios = " | ".join(f"{ours / other:.3f}" for other in others)
        bits = 16 * ours / others[-1]
        print(f"| {name} | {count:.0f} | {ratios} | {bits:.2f} | {pack_s / count:.3f} | {unpack_s / count:.3f} |")


if __name__ == "__main__":
    main()
