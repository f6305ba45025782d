"""A secret that this tablet's TPM alone can open, through ``tpm2-tools``.

It is sealed under the storage hierarchy with an authorisation made from the PIN and without ``noDA``: the chip itself
counts wrong tries and stops answering for a while (TPM 2.0 Library, part 1, section 19.8, dictionary attack
protection), whoever asks it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zhenbao.agent.vault.file import TpmBlob
from zhenbao.agent.vault.unlocked import runtime_folder
from zhenbao.model.errors import InputError, StorageError

_DEVICE = Path("/dev/tpmrm0")
_PATIENCE_S = 60
_TPM_RC_AUTH_FAIL, _TPM_RC_BAD_AUTH, _TPM_RC_LOCKOUT = 0x8E, 0xA2, 0x921
"""TPM 2.0 Library, part 2, section 6.6.3; the first two carry the number of the session in their upper bits."""


def present() -> bool:
    """Whether there is a TPM that this user may speak to."""
    if shutil.which("tpm2_unseal") is None:
        return False
    return bool(os.environ.get("TPM2TOOLS_TCTI")) or os.access(_DEVICE, os.R_OK | os.W_OK)


def seal(secret: bytes, authorisation: bytes) -> TpmBlob:
    """Seal up to 128 bytes.

    Raises:
        StorageError: ``vault-tpm``: the chip or its tools refused.
    """
    with _folder(authorisation) as folder:
        (folder / "secret").write_bytes(secret)
        _run(folder, "create", "-C", "primary", "-i", "secret", "-u", "public", "-r", "private", "-p", "file:auth")
        return TpmBlob((folder / "public").read_bytes(), (folder / "private").read_bytes())


def unseal(blob: TpmBlob, authorisation: bytes) -> bytes:
    """The secret.

    Raises:
        InputError: ``pin-wrong``; ``pin-tpm-lockout``: too many wrong ones, the chip rests.
        StorageError: ``vault-tpm``: another chip, a cleared one, or none.
    """
    with _folder(authorisation) as folder:
        (folder / "public").write_bytes(blob.public)
        (folder / "private").write_bytes(blob.private)
        _run(folder, "load", "-C", "primary", "-u", "public", "-r", "private", "-c", "sealed")
        _run(folder, "unseal", "-c", "sealed", "-p", "file:auth", "-o", "secret")
        return (folder / "secret").read_bytes()


@contextmanager
def _folder(authorisation: bytes) -> Iterator[Path]:
    """A folder in memory with the authorisation and the context of the storage key; nothing of it stays."""
    with tempfile.TemporaryDirectory(dir=runtime_folder(), prefix="tpm-") as name:
        folder = Path(name)
        (folder / "auth").write_text(authorisation.hex())
        _run(folder, "createprimary", "-C", "o", "-g", "sha256", "-G", "ecc", "-c", "primary")
        yield folder


def _run(folder: Path, tool: str, *arguments: str) -> None:
    try:
        done = _command(folder, tool, *arguments)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StorageError("vault-tpm", reason=type(error).__name__) from error
    if done.returncode == 0:
        return
    codes = [int(code, 16) for code in re.findall(r"0x([0-9A-Fa-f]{1,8})\b", done.stderr)]
    if _TPM_RC_LOCKOUT in codes:
        raise InputError("pin-tpm-lockout")
    # Format-one codes: bit 7 set, the error in bits 0 to 5.
    if tool == "unseal" and any(c & 0xBF in (_TPM_RC_AUTH_FAIL, _TPM_RC_BAD_AUTH) for c in codes):
        raise InputError("pin-wrong")
    raise StorageError("vault-tpm", reason=f"{tool} {' '.join(f'{c:#x}' for c in codes[:1])}".strip())


def _command(folder: Path, tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    named = os.environ.get("TPM2TOOLS_TCTI")
    if named and tool != "flushcontext":
        # The kernel's resource manager clears up behind each process; a chip without one holds three objects.
        _command(folder, "flushcontext", "-t")
    return subprocess.run(  # noqa: S603 - fixed tools; nothing a person typed is among the arguments
        [f"tpm2_{tool}", *arguments],
        cwd=folder,
        env={**os.environ, "TPM2TOOLS_TCTI": named or f"device:{_DEVICE}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_PATIENCE_S,
        check=False,
    )
