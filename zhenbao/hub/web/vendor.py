"""Copies htmx and the Chinese font from ``node_modules`` to ``vendor``: ``python -m zhenbao.hub.web.vendor``.

The pages load nothing from elsewhere, so these files are served by the hub itself. Which versions they are, and
their checksums, is in ``package-lock.json``.
"""

import re
import shutil
import sys
from pathlib import Path

from zhenbao.model.errors import StorageError

VENDOR = Path(__file__).parent / "vendor"
ROOT = Path(__file__).parents[3]
WEIGHTS = (400, 700)


def needed() -> tuple[Path, ...]:
    """The files without which the pages do not work as meant."""
    return (VENDOR / "htmx.min.js", *(VENDOR / f"noto-sans-sc-{weight}.css" for weight in WEIGHTS))


def check() -> None:
    """Raises StorageError, code ``hub-vendor``, where a file is missing."""
    if missing := [file.name for file in needed() if not file.is_file()]:
        raise StorageError("hub-vendor", files=", ".join(missing))


def fill(node_modules: Path, vendor: Path = VENDOR) -> int:
    """Copy what is needed; returns the number of files.

    Raises:
        StorageError: ``hub-vendor``: the packages are not in ``node_modules``.
    """
    htmx = node_modules / "htmx.org" / "dist" / "htmx.min.js"
    font = node_modules / "@fontsource" / "noto-sans-sc"
    if not htmx.is_file() or not font.is_dir():
        raise StorageError("hub-vendor", files="node_modules")
    shutil.rmtree(vendor, ignore_errors=True)
    (vendor / "files").mkdir(parents=True)
    shutil.copy(htmx, vendor)
    shutil.copy(node_modules / "htmx.org" / "LICENSE", vendor / "htmx.LICENSE")
    shutil.copy(font / "LICENSE", vendor / "noto-sans-sc.LICENSE")
    for weight in WEIGHTS:
        # Every browser of the last ten years reads woff2; the older woff would double the size.
        css = re.sub(r", url\([^)]*\.woff\) format\('woff'\)", "", (font / f"{weight}.css").read_text(encoding="utf-8"))
        (vendor / f"noto-sans-sc-{weight}.css").write_text(css, encoding="utf-8")
        for name in re.findall(r"url\(\./files/([^)]+)\)", css):
            shutil.copy(font / "files" / name, vendor / "files")
    return sum(1 for file in vendor.rglob("*") if file.is_file())


if __name__ == "__main__":
    sys.stdout.write(f"{fill(ROOT / 'node_modules')} files in {VENDOR}\n")
