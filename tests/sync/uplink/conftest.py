"""A private message bus with python-dbusmock's NetworkManager and ModemManager on it, as processes of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

DEBIAN_PYTHON = "/usr/bin/python3"
HOW = "python3-dbusmock {} is missing: run tests/debian-packages (as root where Debian packages are missing)"


@dataclass
class PrivateBus:
    """A bus of this test alone."""

    address: str
    environment: dict[str, str]
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def mock(self, template: str, service: str) -> None:
        """Start one of python-dbusmock's templates; returns when it owns its name."""
        process = subprocess.Popen(
            [DEBIAN_PYTHON, "-m", "dbusmock", "--system", "--template", template],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        waited = self._run("gdbus", "wait", "--system", "--timeout", "20", service)
        assert waited.returncode == 0 and process.poll() is None, waited.stderr

    def call(self, service: str, path: str, method: str, *arguments: str) -> str:
        """Call a method; arguments in GVariant's text format."""
        ended = self._run(
            "gdbus", "call", "--system", "--dest", service, "--object-path", path, "--method", method, *arguments
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=30, check=False)


def dbusmock_place(template: str) -> str | None:
    """Where a dbusmock with this template lies: ZHENBAO_DBUSMOCK, beside this environment, or Debian's own."""
    places = [os.environ.get("ZHENBAO_DBUSMOCK", ""), str(Path(sys.prefix) / "dbusmock"), ""]
    for place in places:
        tried = subprocess.run(
            [DEBIAN_PYTHON, "-c", f"import dbusmock.templates as t, os, sys; "
             f"sys.exit(not os.path.exists(os.path.join(t.__path__[0], {template + '.py'!r})))"],
            env={**os.environ, "PYTHONPATH": place}, capture_output=True, check=False,
        )  # fmt: skip
        if tried.returncode == 0:
            return place
    return None


def private_bus(tmp_path: Path, template: str) -> Iterator[PrivateBus]:
    """A dbus-daemon that knows nothing of the machine's own bus."""
    if not (shutil.which("dbus-daemon") and shutil.which("gdbus") and Path(DEBIAN_PYTHON).exists()):
        pytest.skip("dbus-daemon, gdbus or python3 is missing: run tests/debian-packages as root")
    if (place := dbusmock_place(template)) is None:
        pytest.skip(HOW.format(f"with its template {template}"))
    config = tmp_path / "bus.conf"
    config.write_text(
        '<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"'
        ' "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd"><busconfig><type>session</type>'
        f"<listen>unix:path={tmp_path}/bus</listen><auth>EXTERNAL</auth>"
        '<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>'
        '<allow own="*"/></policy></busconfig>'
    )
    daemon = subprocess.Popen(
        ["dbus-daemon", "--nofork", "--print-address=1", f"--config-file={config}"], stdout=subprocess.PIPE, text=True
    )
    assert daemon.stdout is not None
    address = daemon.stdout.readline().strip()
    bus = PrivateBus(address, {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": address, "PYTHONPATH": place}, [daemon])
    try:
        yield bus
    finally:
        for process in reversed(bus.processes):
            process.terminate()
            process.wait(timeout=10)
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()


@pytest.fixture
def network_bus(tmp_path: Path) -> Iterator[PrivateBus]:
    for bus in private_bus(tmp_path, "networkmanager"):
        bus.mock("networkmanager", "org.freedesktop.NetworkManager")
        yield bus


@pytest.fixture
def modem_bus(tmp_path: Path) -> Iterator[PrivateBus]:
    for bus in private_bus(tmp_path, "modemmanager"):
        bus.mock("modemmanager", "org.freedesktop.ModemManager1")
        yield bus
