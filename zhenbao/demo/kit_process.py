"""The demo's kit: the real command in processes of its own, which can be killed like a tablet whose battery dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

Event = dict[str, Any]


class KitFailed(Exception):
    """A command of the kit ended as it should not have; carries what it said."""


class Killed(Exception):
    """The demo killed this command on purpose."""


class KitProcesses:
    """Runs ``zhenbao --home HOME ...`` and reads its JSON lines.

    Args:
        home: the kit's folder.
        wait_factor: how much rests are shortened.
        language: of the kit's words.
    """

    def __init__(self, home: Path, *, wait_factor: float, language: str) -> None:
        self._command = [
            sys.executable,
            "-m",
            "zhenbao",
            "--lang",
            language,
            "--home",
            str(home),
            "--time-factor",
            str(wait_factor),
        ]
        self._folder = home.parent
        self._service: subprocess.Popen[str] | None = None
        self.service_events: list[Event] = []

    def run(
        self, *arguments: str, on_event: Callable[[Event], None] | None = None, typed: str | None = None
    ) -> list[Event]:
        """Run a command to its end and return its events.

        Args:
            on_event: called for each event as it comes; may raise ``Killed`` to end the process with SIGKILL.
            typed: what the command reads from its standard input.

        Raises:
            KitFailed: it ended with another code than 0.
            Killed: ``on_event`` wanted it dead; it is.
        """
        process = self._start(*arguments, stdin=subprocess.DEVNULL if typed is None else subprocess.PIPE)
        events: list[Event] = []
        if process.stdin is not None:
            process.stdin.write(typed or "")
            process.stdin.close()
        assert process.stdout is not None and process.stderr is not None
        try:
            for line in process.stdout:
                if line.startswith("{"):
                    events.append(json.loads(line))
                    if on_event is not None:
                        on_event(events[-1])
        except BaseException:
            process.kill()
            raise
        finally:
            said = process.stderr.read()
            process.wait()
        if process.returncode != 0:
            raise KitFailed(f"{' '.join(arguments)} ended with {process.returncode}\n{said}")
        return events

    def refuse(self, *arguments: str) -> str:
        """Run a command that must be refused; return what it told the doctor."""
        process = self._start(*arguments)
        _, said = process.communicate()
        if process.returncode == 0:
            raise KitFailed(f"{' '.join(arguments)} was not refused")
        return said.strip()

    def start_service(self) -> None:
        """Start the background service and read its events on a thread."""
        self._service = self._start("service")
        threading.Thread(target=self._listen, args=(self._service,), daemon=True).start()

    def kill_service(self) -> None:
        """SIGKILL: no goodbye."""
        assert self._service is not None
        self._service.kill()
        self._service.wait()

    def stop_service(self) -> None:
        """SIGTERM, and wait; harmless when it does not run."""
        if self._service is not None and self._service.poll() is None:
            self._service.send_signal(signal.SIGTERM)
            self._service.wait(timeout=15)

    def _start(self, *arguments: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        return subprocess.Popen(  # noqa: S603 - our own command
            [*self._command, "--json", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=stdin,
            text=True,
            cwd=self._folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("{"):
                self.service_events.append(json.loads(line))
