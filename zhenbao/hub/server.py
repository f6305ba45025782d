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

from zhenbao.hub import care_watch
from zhenbao.hub.broker import HOST, EmbeddedBroker
from zhenbao.hub.ca import CA_CERTIFICATE, HUB_CLIENT, HUB_CLIENT_KEY
from zhenbao.hub.issued import FILE as ISSUED
from zhenbao.hub.issued import FOLDER as CA_FOLDER
from zhenbao.hub.issued import IssuedBook
from zhenbao.hub.keys import HubKeyring, add_kit
from zhenbao.hub.live_ecg import LiveDesk
from zhenbao.hub.notify import FAMILY_FILE, FILE, all_of, family_to_file, to_file, to_services
from zhenbao.hub.oidc import Provider, load_settings
from zhenbao.hub.permission import Role
from zhenbao.hub.presence import keep_up
from zhenbao.hub.push import Pusher
from zhenbao.hub.reports import Reports
from zhenbao.hub.roster import Roster, load_roster
from zhenbao.hub.store import Counters, HubStore, audit, organisations, people, rule_versions
from zhenbao.hub.store.people import Practitioner
from zhenbao.hub.store.work import WorkItem
from zhenbao.hub.watch import watch
from zhenbao.hub.worklist import Worklist
from zhenbao.model.errors import InputError, LinkDown, StorageError
from zhenbao.model.time import Clock, SystemClock
from zhenbao.rules import specialties
from zhenbao.sync.keys import parse_card
from zhenbao.sync.links.mailboxes import MailboxLink
from zhenbao.sync.links.several_hub import Presence, RoadsAtHub
from zhenbao.sync.links.tls import client_context, server_context
from zhenbao.sync.live.chunk import Chunk, LiveReader
from zhenbao.sync.names import AddressBook, OpenBook

if TYPE_CHECKING:
    import uvicorn

    from zhenbao.hub.web.live import Newsroom

_log = logging.getLogger(__name__)

_WAIT_S = 20.0
DATABASE = "hub.db"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Hub:
    """Everything of one hub. Bound to the loopback address, unless the web page has a certificate.

    Where the folder has a CA (``ca/``, see ``zhenbao.hub.ca``), kits are known by the names in their certificates, and
    the web server is a road for them too.

    Args:
        directory: the hub's data; made with mode 0700 where it is missing.
        mqtt_port: of the embedded broker; 0: a free one.
        web_port: 0: a free one.
        clock: the hub's time.
        broker: ``embedded``, or ``mqtt://host:port`` or ``mqtts://host:port`` of one outside; TLS takes the hub's
            certificate from the CA's folder.
        roster: who is on duty: a file, a roster, or None for the example that comes with the program.
        database: SQLAlchemy URL; None: SQLite in ``directory``.
        hosts: names under which the web page may be asked for, besides those of this machine.
        https: the web page is only reached through TLS.
        notify: addresses of services that carry notices (see ``notify.to_services``), besides the file.
        web_host: address of the web server; another than this machine's own only with ``web_tls``.
        web_tls: certificate and key of the web server, PEM.
        push: alert people's devices through the services of their browsers, with this contact for the services
            (``mailto:`` or ``https:``); empty: nothing leaves by that way.
        keys: the Ed25519 key that signs a kit's HTTPS requests, by its name on the road; None: the CA's list.
        oidc: settings of the county's identity provider (see ``hub.oidc``); None: there is none.

    Raises:
        InputError: ``roster``, ``rules-table``, ``hub-broker``, ``hub-plain-web``, ``tls-file``, ``notify-missing``,
            ``notify-url``, ``push-missing`` or ``push-contact``.
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
        notify: Sequence[str] = (),
        web_host: str = HOST,
        web_tls: tuple[Path, Path] | None = None,
        keys: Callable[[str], bytes | None] | None = None,
        push: str = "",
        oidc: Path | None = None,
    ) -> None:
        self.clock = clock or SystemClock()
        if web_tls is None and web_host not in _LOOPBACK:
            raise InputError("hub-plain-web", address=web_host[:80])
        self._road = _road(broker)
        self._ca = directory / CA_FOLDER
        self._broker_tls = broker.startswith("mqtts:")
        self._book: AddressBook = IssuedBook(self._ca) if (self._ca / ISSUED).exists() else OpenBook()
        self._keys = keys or IssuedBook(self._ca).key_of
        self._web_host = web_host
        self._web_tls = server_context(*web_tls) if web_tls is not None else None
        self._mailboxes = MailboxLink(self.clock.monotonic_s)
        self._roads: RoadsAtHub | None = None
        self._broker = EmbeddedBroker(mqtt_port) if self._road is None else None
        self._hosts = tuple(hosts)
        self._https = https or web_tls is not None
        self._web_port = web_port
        duty = roster if isinstance(roster, Roster) else load_roster(roster)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.store = HubStore(database or f"sqlite:///{(directory / DATABASE).absolute()}", self.clock, duty)
        with self.store.reading() as connection:
            rule_versions.active(connection)  # a hub never starts with rules that contradict this program
        self.keyring = HubKeyring(self.store, directory)
        self._desk = LiveDesk(_opener(LiveReader(self.store.name, self.keyring)), self.clock)
        self.worklist = Worklist(self.store)
        self.reports = Reports(self.store)
        services = (to_services(notify),) if notify else ()
        self._pusher = Pusher(self.store, directory, push) if push else None
        alerts = (self._pusher.call,) if self._pusher is not None else ()
        self._notify = all_of(to_file(directory / FILE, self.clock), *services, *alerts)
        self._oidc = Provider(load_settings(oidc), self.clock) if oidc is not None else None
        self._tell_family = family_to_file(directory / FAMILY_FILE, self.clock)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._web: uvicorn.Server | None = None
        self._newsroom: Newsroom | None = None
        self._socket: socket.socket | None = None

    @property
    def mqtt_port(self) -> int:
        """Where kits connect."""
        return self._broker.port if self._broker is not None else self._address[1]

    @property
    def web_url(self) -> str:
        """Where people connect; empty before ``start``."""
        if self._socket is None:
            return ""
        host = f"[{self._web_host}]" if ":" in self._web_host else self._web_host
        return f"{'https' if self._web_tls is not None else 'http'}://{host}:{self._web_port}"

    @property
    def presence(self) -> Sequence[Presence]:
        """Each kit's last sign of life since the start."""
        return self._roads.presence() if self._roads is not None else ()

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
            self._spawn("zhenbao-presence", lambda: keep_up(self.store, lambda: self.presence, self._stop))
            if (pusher := self._pusher) is not None:
                self._spawn("zhenbao-push", lambda: pusher.run(self._stop))
            self._spawn("zhenbao-clocks", lambda: watch(self.store, self._stop, self._notify))
            self._spawn("zhenbao-care", lambda: care_watch.watch(self.store, self._stop))
        except (LinkDown, StorageError):
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything; what was committed stays. Harmless when it does not run. The hub can be started again."""
        self._stop.set()
        self._mailboxes.stop()  # nobody is kept waiting for mail by a server that ends
        if self._newsroom is not None:
            self._newsroom.close()  # nor by a line on which nothing happens any more
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
        tls = None
        if self._broker_tls:
            tls = client_context(self._ca / CA_CERTIFICATE, self._ca / HUB_CLIENT, self._ca / HUB_CLIENT_KEY)
        mqtt = MqttLink(host, port, self.store.name, is_hub=True, tls=tls, book=self._book)
        roads = RoadsAtHub({"mqtt": mqtt, "https": self._mailboxes}, monotonic_s=self.clock.monotonic_s)
        roads.on_live = self._desk.hear
        self._spawn("zhenbao-live", lambda: self._desk.run(self._stop))
        mqtt.on_gone = lambda kit_id: roads.gone("mqtt", kit_id)
        self._roads = roads
        engine = Engine(self.store, roads, self.clock, self.keyring)
        self._spawn("zhenbao-ingest", lambda: engine.run(self._stop))

    def _start_web(self) -> None:
        import uvicorn

        from zhenbao.hub.web.app import LOCAL_HOSTS, create_app
        from zhenbao.hub.web.security import WITHOUT_CONTENT
        from zhenbao.hub.web.sync_endpoint import SyncRoad
        from zhenbao.hub.web.sync_guard import SyncGuard

        sync = SyncRoad(self._mailboxes, SyncGuard(self._keys, self.clock), self._book, self.clock)
        app = create_app(
            self.store,
            hosts=(*LOCAL_HOSTS, *self._hosts),
            https=self._https,
            sign=self.keyring.sign_probe,
            sync=sync,
            pusher=self._pusher,
            tell_family=self._tell_family,
            oidc_provider=self._oidc,
            desk=self._desk,
        )
        self._newsroom = app.state.newsroom
        listening = socket.socket(socket.AF_INET6 if ":" in self._web_host else socket.AF_INET)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((self._web_host, self._web_port))
        except OSError as error:
            listening.close()
            raise StorageError("hub-port", port=self._web_port) from error
        listening.listen(128)
        self._web_port = listening.getsockname()[1]
        self._socket = listening
        logging.getLogger("uvicorn.error").addFilter(WITHOUT_CONTENT)
        # No access log: it would fill with pages that ask for news, and tells nothing the audit lacks.
        tls = self._web_tls
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=2,
            timeout_keep_alive=120,
            ssl_context_factory=None if tls is None else lambda _config, _default: tls,
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
    org_id: str = organisations.ROOT,
) -> Practitioner:
    """Make an account, and a row of the audit with it.

    Raises:
        InputError: ``login-form``, ``login-taken``, ``specialty-missing``, ``specialty-unknown``, ``org-unknown`` or
            ``password-short``.
    """
    departments = [key for key, value in specialties().items() if value.kind == "department"]
    if specialty is not None and specialty not in departments:
        raise InputError("specialty-unknown", specialty=specialty[:40], known=", ".join(departments))
    person = Practitioner(login, name, role, specialty, phone, org_id)
    with store.writing() as connection:
        now_ms = store.clock.now_ms()
        people.add(connection, person, password, now_ms)
        audit.append(connection, now_ms, "admin", "practitioner-added", f"practitioner:{login}", role=role)
    return person


def _opener(reader: LiveReader) -> Callable[[bytes, str], tuple[str, Chunk]]:
    def opened(data: bytes, road: str) -> tuple[str, Chunk]:
        signer, chunk = reader.read(data, road)
        return signer.peer.name, chunk

    return opened


def _road(broker: str) -> tuple[str, int] | None:
    """Host and port of a broker outside; None for the embedded one."""
    if broker == "embedded":
        return None
    ports = {"mqtt": 1883, "mqtts": 8883}
    try:
        parts = urlsplit(broker)
        if parts.scheme in ports and parts.hostname and not parts.path.strip("/"):
            return parts.hostname, parts.port or ports[parts.scheme]
    except ValueError:
        pass
    raise InputError("hub-broker")
