"""A whole hub in one process: store, broker, ingest and web page, each on a thread of its own."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import UUID

from zhenbao.hub.broker import HOST, EmbeddedBroker
from zhenbao.hub.keys import HubKeyring, add_kit
from zhenbao.hub.reports import Reports
from zhenbao.hub.roster import Roster, load_roster
from zhenbao.hub.store import Counters, HubStore, audit, people
from zhenbao.hub.store.people import Practitioner, Role
from zhenbao.hub.store.work import WorkItem
from zhenbao.hub.worklist import Worklist
from zhenbao.model.errors import InputError, LinkDown, StorageError
from zhenbao.model.time import Clock, SystemClock
from zhenbao.rules import specialties
from zhenbao.sync.keys import parse_card

if TYPE_CHECKING:
    import uvicorn

_log = logging.getLogger(__name__)

_WAIT_S = 20.0
DATABASE = "hub.db"


class Hub:
    """Everything of one hub. Bound to the loopback address; a county puts a TLS proxy and a broker of its own in front.

    Args:
        directory: the hub's data; made with mode 0700 where it is missing.
        mqtt_port: of the embedded broker; 0: a free one.
        web_port: 0: a free one.
        clock: the hub's time.
        broker: ``embedded``, or ``mqtt://host:port`` of one outside.
        roster: who is on duty: a file, a roster, or None for the example that comes with the program.
        database: SQLAlchemy URL; None: SQLite in ``directory``.
        hosts: names under which the web page may be asked for, besides those of this machine.
        https: the web page is only reached through TLS.

    Raises:
        InputError: ``roster`` or ``hub-broker``.
        StorageError: ``hub-database``.
    """

    def __init__(
        self,
        directory: Path,
        *,
        mqtt_port: int = 0,
        web_port: int = 0,
        clock: Clock | None = None,
        broker: str = "embedded",
        roster: Path | Roster | None = None,
        database: str | None = None,
        hosts: Sequence[str] = (),
        https: bool = False,
    ) -> None:
        self.clock = clock or SystemClock()
        self._road = _road(broker)
        self._broker = EmbeddedBroker(mqtt_port) if self._road is None else None
        self._hosts = tuple(hosts)
        self._https = https
        self._web_port = web_port
        duty = roster if isinstance(roster, Roster) else load_roster(roster)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.store = HubStore(database or f"sqlite:///{(directory / DATABASE).absolute()}", self.clock, duty)
        self.keyring = HubKeyring(self.store, directory)
        self.worklist = Worklist(self.store)
        self.reports = Reports(self.store)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._web: uvicorn.Server | None = None
        self._socket: socket.socket | None = None

    @property
    def mqtt_port(self) -> int:
        """Where kits connect."""
        return self._broker.port if self._broker is not None else self._address[1]

    @property
    def web_url(self) -> str:
        """Where people connect; empty before ``start``."""
        return f"http://{HOST}:{self._web_port}" if self._socket is not None else ""

    @property
    def counters(self) -> Counters:
        """What came since this start."""
        return self.store.counters

    def open_cases(self) -> list[WorkItem]:
        """The open cases, the most pressing first."""
        return [row.item for row in self.worklist.rows()]

    def village_read_ms(self, case_id: UUID) -> int | None:
        """When the village doctor opened the case's newest report, by the kit's time; None while not."""
        return self.worklist.read_ms(case_id)

    def add_practitioner(
        self,
        login: str,
        *,
        name: str,
        role: Role = "specialist",
        specialty: str | None = None,
        phone: str = "",
        password: str,
    ) -> Practitioner:
        """Make an account; see :func:`add_practitioner`."""
        return add_practitioner(
            self.store, login, name=name, role=role, specialty=specialty, phone=phone, password=password
        )

    def add_kit(self, card: str) -> None:
        """Register a kit by its card, as text.

        Raises:
            InputError: ``card-text`` or ``card-name``.
        """
        add_kit(self.store, parse_card(card))

    def start(self) -> None:
        """Start everything; returns when kits and people can connect.

        Raises:
            LinkDown: ``broker-start``.
            StorageError: ``hub-vendor`` where files of the page are missing, ``hub-port`` where its port is taken.
        """
        if self._threads:
            return
        self._stop.clear()
        try:
            if self._broker is not None:
                self._broker.start()
            self._start_web()
            self._start_ingest()
        except (LinkDown, StorageError):
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything; what was committed stays. Harmless when it does not run. The hub can be started again."""
        self._stop.set()
        if self._web is not None:
            self._web.should_exit = True
        for thread in self._threads:
            thread.join(_WAIT_S)
        self._threads.clear()
        if self._broker is not None:
            self._broker.stop()
        if self._socket is not None:
            self._socket.close()
        self._web = self._socket = None

    def close(self) -> None:
        """Stop, and let go of the database for good."""
        self.stop()
        self.store.close()

    def restart_broker(self) -> None:
        """Break every connection and listen again on the same port, as after a power cut of the broker.

        Raises:
            LinkDown: ``broker-start``.
        """
        if self._broker is not None:
            self._broker.restart()

    @property
    def _address(self) -> tuple[str, int]:
        return self._road if self._road is not None else (HOST, self.mqtt_port)

    def _start_ingest(self) -> None:
        from zhenbao.sync.engine import Engine
        from zhenbao.sync.links.mqtt import MqttLink

        host, port = self._address
        link = MqttLink(host, port, self.store.name, is_hub=True)
        engine = Engine(self.store, link, self.clock, self.keyring)
        self._spawn("zhenbao-ingest", lambda: engine.run(self._stop))

    def _start_web(self) -> None:
        import uvicorn

        from zhenbao.hub.web.app import LOCAL_HOSTS, create_app
        from zhenbao.hub.web.security import WITHOUT_CONTENT

        app = create_app(self.store, hosts=(*LOCAL_HOSTS, *self._hosts), https=self._https)
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, self._web_port))
        except OSError as error:
            listening.close()
            raise StorageError("hub-port", port=self._web_port) from error
        listening.listen(128)
        self._web_port = listening.getsockname()[1]
        self._socket = listening
        logging.getLogger("uvicorn.error").addFilter(WITHOUT_CONTENT)
        # No access log: it would fill with worklists asked for every three seconds, and tells nothing the audit lacks.
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", server_header=False, timeout_graceful_shutdown=2
        )
        server = uvicorn.Server(config)
        self._web = server
        # The port listens already: who connects now is answered as soon as the server runs.
        self._spawn("zhenbao-web", lambda: server.run(sockets=[listening]))

    def _spawn(self, name: str, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)


def add_practitioner(
    store: HubStore,
    login: str,
    *,
    name: str,
    role: Role,
    specialty: str | None,
    phone: str,
    password: str,
) -> Practitioner:
    """Make an account, and a row of the audit with it.

    Raises:
        InputError: ``login-form``, ``login-taken``, ``specialty-missing``, ``specialty-unknown`` or
            ``password-short``.
    """
    departments = [key for key, value in specialties().items() if value.kind == "department"]
    if specialty is not None and specialty not in departments:
        raise InputError("specialty-unknown", specialty=specialty[:40], known=", ".join(departments))
    person = Practitioner(login, name, role, specialty, phone)
    with store.writing() as connection:
        now_ms = store.clock.now_ms()
        people.add(connection, person, password, now_ms)
        audit.append(connection, now_ms, "admin", "practitioner-added", f"practitioner:{login}", role=role)
    return person


def _road(broker: str) -> tuple[str, int] | None:
    """Host and port of a broker outside; None for the embedded one."""
    if broker == "embedded":
        return None
    try:
        parts = urlsplit(broker)
        if parts.scheme == "mqtt" and parts.hostname and not parts.path.strip("/"):
            return parts.hostname, parts.port or 1883
    except ValueError:
        pass
    raise InputError("hub-broker")
