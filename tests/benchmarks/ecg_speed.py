"""Speed, import and memory of beat detection beside other packages, all in one run; figures are ratios to ours.

    make bench

A script, not a test: shared machines time badly, so each figure is the best of several and all take turns.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "validation"))
from detectors import PIECE_S, peers
from recordings import DATA, Detect, evaluator, recordings

from zhenbao.signal.ecg import QrsStream, detect_qrs

TURNS = 5
SLOW_S = 2.0
"""A detector that takes longer than this for one recording gets one turn."""

COLD = {
    "numpy alone": "import numpy",
    "zhenbao": "from zhenbao.signal.ecg import detect_qrs as f\nfind = lambda x: f(x, 500)",
    "sleepecg": "from sleepecg import detect_heartbeats as f\nfind = lambda x: [f(row, 500) for row in x]",
    "neurokit2": (
        "import neurokit2 as n\n"
        "find = lambda x: [n.ecg_peaks(n.ecg_clean(r, sampling_rate=500), sampling_rate=500) for r in x]"
    ),
    "wfdb (xqrs)": (
        "from wfdb.processing import xqrs_detect as f\nfind = lambda x: [f(row, 500, verbose=False) for row in x]"
    ),
}
MEASURE = """
import resource, sys, warnings
warnings.simplefilter("ignore")
{code}
if "find" in globals():
    import numpy
    find(numpy.load(sys.argv[1]))
used = resource.getrusage(resource.RUSAGE_SELF)
# Not ru_maxrss, which a child inherits from its parent.
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(used.ru_utime + used.ru_stime, int(peak) / 1024)
"""


def batch() -> None:
    """One lead at its own rate, each recording in turn by every detector."""
    ec57 = evaluator()
    detectors: dict[str, Detect] = {"zhenbao": detect_qrs, **peers()}
    spent = dict.fromkeys(detectors, 0.0)
    signal_s = 0.0
    for recording in recordings(ec57, "mitdb"):
        signal_s += recording.ecg_mv.shape[1] / recording.fs_hz
        best = dict.fromkeys(detectors, np.inf)
        for _ in range(TURNS):
            for name, detect in detectors.items():
                if best[name] != np.inf and best[name] > SLOW_S:
                    continue
                started = time.process_time()
                detect(recording.ecg_mv[0].copy(), recording.fs_hz)
                best[name] = min(best[name], time.process_time() - started)
        for name, seconds in best.items():
            spent[name] += seconds
    print(f"Batch, mitdb channel 0, 360 Hz, {signal_s / 3600:.1f} h of signal, CPU time, best of {TURNS}:")
    print("| detector | x real time | ours by its speed |\n|---|---|---|")
    for name, seconds in spent.items():
        print(f"| {name} | {signal_s / seconds:.0f} | {seconds / spent['zhenbao']:.2f} |")


def stream() -> None:
    """Pieces of 20 ms; memory after one hour and after six."""
    recording = next(iter(recordings(evaluator(), "mitdb", 2)))
    piece = max(1, round(PIECE_S * recording.fs_hz))
    print("\nStream, pieces of 20 ms:\n| leads | x real time |\n|---|---|")
    for leads in (1, 2):
        best = np.inf
        for _ in range(2):
            running = QrsStream(recording.fs_hz, leads=leads)
            started = time.process_time()
            for start in range(0, recording.ecg_mv.shape[1], piece):
                running.push(recording.ecg_mv[:leads, start : start + piece])
            best = min(best, time.process_time() - started)
        print(f"| {leads} | {recording.ecg_mv.shape[1] / recording.fs_hz / best:.0f} |")


def cold(ten_seconds: NDArray[np.float64]) -> None:
    """From no process to the beats of a 10 s 12-lead ECG: CPU time and memory."""
    file = Path(os.environ.get("TMPDIR", "/tmp")) / f"zhenbao-bench-{os.getpid()}.npy"  # noqa: S108 - removed below
    np.save(file, ten_seconds)
    best: dict[str, tuple[float, float]] = {}
    try:
        for _ in range(TURNS):
            for name, code in COLD.items():
                command = [sys.executable, "-c", MEASURE.format(code=code), str(file)]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode == 0:
                    seconds, mebibytes = (float(word) for word in done.stdout.split())
                    best[name] = min(best.get(name, (np.inf, np.inf)), (seconds, mebibytes))
    finally:
        file.unlink()
    print("\nCold process to the beats of a 10 s 12-lead ECG at 500 Hz, best of five:")
    print("| package | CPU s | ours by it | peak MiB |\n|---|---|---|---|")
    for name, (seconds, mebibytes) in best.items():
        print(f"| {name} | {seconds:.2f} | {seconds / best['zhenbao'][0]:.1f} | {mebibytes:.0f} |")


def main() -> None:
    """All three."""
    batch()
    stream()
    data = np.load(DATA / "data" / "cinc2011" / "cinc2011.npz")
    cold(data["ecg_lsb"][0] * 0.005)


if __name__ == "__main__":
    main()
