"""Hostile code tries to reach anything outside, by every kind of socket."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from mledojo_env.sandbox import Limits, Status

REFUSED = (
    *("OSError", "PermissionError", "ConnectionRefusedError", "FileNotFoundError"),
    *("gaierror", "URLError", "AttributeError"),
)


@pytest.mark.parametrize(
    "attempt",
    [
        "socket.create_connection(('1.1.1.1', 443), 2)",
        "socket.create_connection(('127.0.0.1', 22), 2)",
        "socket.create_connection(('169.254.169.254', 80), 2)",
        "socket.socket().bind(('0.0.0.0', 8080))",
        "socket.create_server(('', 0))",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('1.1.1.1', 53))",
        "socket.socket(socket.AF_INET6, socket.SOCK_STREAM)",
        "socket.getaddrinfo('example.com', 80)",
        "socket.gethostbyname('metadata.google.internal')",
        "socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)",
        "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
        "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
        "socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET)",
        "socket.socket(40, socket.SOCK_STREAM)",
        "socket.socket(44, socket.SOCK_RAW)",
        "urllib.request.urlopen('http://example.com', timeout=2)",
    ],
    ids=[
        *(
            "tcp",
            "loopback",
            "cloud metadata",
            "bind",
            "listen",
            "udp",
            "ipv6",
            "dns",
            "dns of a cloud",
            "icmp",
        ),
        *("packet", "netlink", "kernel crypto", "vsock", "xdp", "http"),
    ],
)
async def test_no_network(attack, attempt: str):
    result = await attack(f"import socket, urllib.request\n{attempt}\nprint('BROKE')")
    assert result.status is Status.ERROR and result.error_class in REFUSED, result


async def test_abstract_sockets_of_the_host(attack):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("\0mledojo-test")
        listening.listen()
        result = await attack(
            "import socket\nsocket.socket(socket.AF_UNIX).connect('\\0mledojo-test'); print('BROKE')"
        )
    assert result.error_class in REFUSED, result


async def test_sockets_of_the_host_by_path(attack, tmp_path: Path):
    path = f"{tmp_path}/s"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        code = f"import socket\nsocket.socket(socket.AF_UNIX).connect({path!r}); print('BROKE')"
        assert (await attack(code)).error_class in REFUSED


async def test_abstract_sockets_of_a_neighbour(session, neighbour, task):
    """Two episodes cannot talk to each other."""
    code = """
import socket
listening = socket.socket(socket.AF_UNIX)
listening.bind("\\0pact"); listening.listen(); listening.settimeout(1)
listening.accept(); print("BROKE")
"""
    waiting = asyncio.create_task(neighbour.run(code, task.public, Limits(timeout_s=5)))
    await asyncio.sleep(0.3)
    code = "import socket\nsocket.socket(socket.AF_UNIX).connect('\\0pact'); print('BROKE')"
    result = await session.run(code, task.public, Limits())
    assert result.error_class in REFUSED
    assert (await waiting).error_class == "TimeoutError"


async def test_unix_sockets_between_own_processes_work(run):
    code = "import socket\na, b = socket.socketpair()\na.send(b'x'); print(b.recv(1))"
    assert (await run(code)).stdout == "b'x'\n"
