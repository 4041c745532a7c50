"""The contestants: what each needs, how it is started, and what it calls itself.

A contestant is installed once and started anew for every run: on a free port of loopback, pinned to
one processor, with a folder of its own for its configuration and log, and stopped by its pid.
"""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import tomllib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import install
from .install import PEERS

START_SECONDS_MAX = 20
STOP_SECONDS_MAX = 10
PORT_TRIES_MAX = 100


@dataclass(frozen=True)
class Contestant:
    """A server of the comparison. `prepare` installs it and returns how it is started."""

    name: str
    dialect: str
    path: str
    prepare: callable
    """() -> (arguments: (port, folder) -> [str], version: str)"""


@dataclass(frozen=True)
class Server:
    """A contestant that runs; `pids` are the processes that serve."""

    url: str
    port: int
    pids: list


class DidNotStart(Exception):
    """With the end of what the server printed."""


@contextmanager
def running(contestant, arguments, cpu):
    """Starts a server and waits until it takes connections; stops it at the end."""
    folder = Path(tempfile.mkdtemp(prefix=f"peer-{contestant.name}-"))
    folder.chmod(0o755)
    port = _free_port()
    # Nothing of the caller's settings: several of these servers read them from the environment.
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment |= {"NODE_ENV": "production", "WEBSOCKET_MAX_CONNECTIONS_PER_IP": "100000"}
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            ["taskset", "-c", str(cpu), *arguments(port, folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
    try:
        _wait_for(process, port, folder / "log")
        url = f"ws://127.0.0.1:{port}{contestant.path}"
        yield Server(url, port, _children(process.pid) or [process.pid])
    finally:
        _stop(process)
        shutil.rmtree(folder, ignore_errors=True)


def _free_port():
    """A free one below those that the kernel gives to clients: no connection of a run takes it."""
    ephemeral = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    for _ in range(PORT_TRIES_MAX):
        port = random.randrange(10_000, max(int(ephemeral[0]), 10_001))
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise DidNotStart("no free port")


def _wait_for(process, port, log):
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise DidNotStart(log.read_text(errors="replace")[-2000:])


def _children(pid):
    """nginx serves from a child; its first process only watches over that one."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _stop(process):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _shardwire():
    binary = install.shardwire()
    flags = ["--dev", "--shards", "1", "--set", "server.max_connections_per_ip=100000"]
    return (
        lambda port, _: [str(binary), "serve", *flags, "--port", str(port)],
        install.generator_version(binary).removeprefix("shardwire "),
    )


def _node(folder, package):
    def prepare():
        home = install.node(folder)
        lock = json.loads((home / "package-lock.json").read_text())
        version = lock["packages"][f"node_modules/{package}"]["version"]
        server = str(home / "server.mjs")
        return lambda port, _: ["node", server, str(port)], f"{package} {version}"

    return prepare


def _rust(binary, *packages):
    def prepare():
        program = str(install.rust_peers() / binary)
        lock = tomllib.loads((PEERS / "rust" / "Cargo.lock").read_text())
        version = {package["name"]: package["version"] for package in lock["package"]}
        versions = ", ".join(f"{package} {version[package]}" for package in packages)
        return lambda port, _: [program, str(port), "1"], versions

    return prepare


def _debian(packages, template, command):
    """A server from Debian with a configuration of ours; `command` is given that file's path."""

    def prepare():
        install.debian(*packages)
        text = (PEERS / template).read_text()

        def arguments(port, folder):
            file = folder / Path(template).name
            file.write_text(text.replace("@PORT@", str(port)).replace("@FOLDER@", str(folder)))
            return command(str(file))

        versions = (f"{package} {install.debian_version(package)}" for package in packages)
        return arguments, ", ".join(versions)

    return prepare


CONTESTANTS = [
    Contestant("shardwire", "topics", "/ws", _shardwire),
    Contestant("shardwire-rooms", "socketio", "/socket.io/", _shardwire),
    Contestant("plain", "topics", "/ws", _rust("plain", "axum", "tokio")),
    Contestant("node-ws", "topics", "/ws", _node("node-ws", "ws")),
    Contestant(
        "socketioxide", "socketio", "/socket.io/", _rust("socketioxide-room", "socketioxide", "tokio")
    ),
    Contestant("socketio", "socketio", "/socket.io/", _node("socketio", "socket.io")),
    Contestant(
        "nats-server",
        "nats",
        "/",
        _debian(
            ["nats-server"],
            "nats-server/server.conf",
            lambda file: ["nats-server", "-c", file],
        ),
    ),
    Contestant(
        "nchan",
        "nchan",
        "/",
        _debian(
            ["nginx", "libnginx-mod-nchan"],
            "nchan/nginx.conf",
            lambda file: ["/usr/sbin/nginx", "-e", "stderr", "-c", file],
        ),
    ),
    Contestant(
        "mosquitto",
        "mqtt",
        "/",
        _debian(
            ["mosquitto"],
            "mosquitto/mosquitto.conf",
            lambda file: ["/usr/sbin/mosquitto", "-c", file],
        ),
    ),
]
