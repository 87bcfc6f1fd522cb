"""Anthropic's own address, ended on this machine: a proxy that answers for api.anthropic.com with a loopback server.

    with anthropic_gate(server, folder=tmp_path) as environment:
        subprocess.run(command, env={**os.environ, **environment})

The client believes that it speaks TLS with api.anthropic.com: it is sent there by HTTPS_PROXY and trusts a certificate
that openssl made for the occasion. So recipes can be tried as with a key, unchanged, and nothing leaves the machine.
"""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from tests.claude_server import Server

HOST = "api.anthropic.com"


@contextmanager
def anthropic_gate(server: Server, *, folder: Path) -> Iterator[dict[str, str]]:
    """Run the proxy; yield the environment in which Anthropic's address leads to `server`."""
    certificate, key = folder / "gate.pem", folder / "gate.key"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={HOST}"]
    make += ["-addext", f"subjectAltName=DNS:{HOST}", "-out", str(certificate), "-keyout", str(key)]
    subprocess.run(make, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    target = urlsplit(server.base_url)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = (str(target.hostname), int(target.port or 80))
        threading.Thread(target=_accept, args=(listener, context, address), daemon=True).start()
        yield {"HTTPS_PROXY": f"http://127.0.0.1:{listener.getsockname()[1]}", "SSL_CERT_FILE": str(certificate)}


def _accept(listener: socket.socket, context: ssl.SSLContext, address: tuple[str, int]) -> None:
    with suppress(OSError):  # the listener was closed
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_serve, args=(client, context, address), daemon=True).start()


def _serve(client: socket.socket, context: ssl.SSLContext, address: tuple[str, int]) -> None:
    """Answer CONNECT for Anthropic's address and for no other; carry bytes both ways until one side is done."""
    with suppress(OSError), client:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(1) or b"\r\n\r\n"
        if not head.startswith(f"CONNECT {HOST}:443 ".encode()):
            client.sendall(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
            return
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with context.wrap_socket(client, server_side=True) as secure, socket.create_connection(address) as inside:
            threading.Thread(target=_carry, args=(inside, secure), daemon=True).start()
            _carry(secure, inside)


def _carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
