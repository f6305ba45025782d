"""A machine with two networks, in a network namespace of its own (started by ``unshare --net``): on the preferred one a
captive portal stands at the hub's address, on the other the hub. Prints what each probe found, as one line of JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from zhenbao.sync.uplink.probe import CONTEXT, Address, probe, verifier

HUB, PORT = "10.77.0.1", 8080
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def ip(*arguments: str, inside: int | None = None) -> None:
    into = [] if inside is None else ["nsenter", "--net", "--target", str(inside)]
    subprocess.run([*into, "ip", *arguments], check=True)


def serve(is_hub: bool) -> None:
    """Wait for the address, then answer there."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            nonce = bytes.fromhex(self.path.rpartition("/")[2])
            body = KEY.sign(CONTEXT + nonce) if is_hub else b"<html>welcome, please log in</html>"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    print("ready", flush=True)
    sys.stdin.readline()
    with HTTPServer((HUB, PORT), Handler) as server:
        print("serving", flush=True)
        threading.Thread(target=sys.stdin.read, daemon=True).start()
        server.serve_forever()


def network(name: str, own: str, metric: str, kind: str) -> subprocess.Popen[str]:
    """A cable to a namespace in which somebody answers at the hub's address."""
    far = subprocess.Popen(
        ["unshare", "--net", sys.executable, __file__, kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert far.stdin is not None and far.stdout is not None
    assert far.stdout.readline() == "ready\n"
    ip("link", "add", name, "type", "veth", "peer", "name", "far0", "netns", str(far.pid))
    ip("address", "add", f"{HUB}/24", "dev", "far0", inside=far.pid)
    ip("link", "set", "far0", "up", inside=far.pid)
    ip("address", "add", f"{own}/32", "dev", name)
    ip("link", "set", name, "up")
    ip("route", "add", "10.77.0.0/24", "dev", name, "src", own, "metric", metric)
    far.stdin.write("go\n")
    far.stdin.flush()
    assert far.stdout.readline() == "serving\n"
    return far


def main() -> None:
    processes = [network("wlan7", "10.77.0.2", "100", "portal"), network("wwan7", "10.77.0.3", "700", "hub")]
    verify = verifier([KEY.public_key().public_bytes_raw()])

    def ask(interface: str) -> str:
        outcome = probe(Address(HUB, PORT, https=False), verify, interface=interface, timeout_s=3)
        return "answered" if outcome.round_trip_s is not None else str(outcome.miss)

    try:
        found = {"as the routes say": ask(""), "wlan7": ask("wlan7"), "wwan7": ask("wwan7")}
        ip("link", "set", "wwan7", "down")
        found["wwan7, pulled"] = ask("wwan7")
        print(json.dumps(found))
    finally:
        for process in processes:
            process.kill()
            process.communicate()


if __name__ == "__main__":
    if sys.argv[1:]:
        serve(sys.argv[1] == "hub")
    else:
        main()
