"""Brings what a peer needs onto the machine, by its package name.

Debian packages go into the system (as root or with sudo; their services are not started), all else
into `benches/peers/.cache`. What is there already is left alone. What cannot be had raises
`CannotInstall`, which ends the whole run: a table must not lack a peer for a reason it keeps quiet.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

PEERS = Path(__file__).resolve().parent.parent
ROOT = PEERS.parent.parent
CACHE = PEERS / ".cache"
VENV = CACHE / "venv"
RUST_TARGET = CACHE / "rust"
POLICY = Path("/usr/sbin/policy-rc.d")

_apt_is_updated = False


class CannotInstall(Exception):
    """Says which peer's part could not be had, and why."""


def debian(*packages):
    """Makes Debian packages available, without the services that they would start."""
    global _apt_is_updated
    missing = [package for package in packages if not _is_installed(package)]
    if not missing:
        return
    if not shutil.which("apt-get"):
        raise CannotInstall(f"{' '.join(missing)}: there is no apt-get here")
    if not _apt_is_updated:
        _run("apt-get update", [*_as_root(), "apt-get", "update", "-q"])
        _apt_is_updated = True
    ours = not POLICY.exists()
    if ours:
        forbid = f"printf '#!/bin/sh\\nexit 101\\n' > {POLICY} && chmod 755 {POLICY}"
        _run("keeping services from starting", [*_as_root(), "sh", "-c", forbid])
    try:
        install = ["apt-get", "install", "-q", "-y", "--no-install-recommends", *missing]
        environment = ["env", "DEBIAN_FRONTEND=noninteractive"]
        _run(" ".join(missing), [*_as_root(), *environment, *install])
    finally:
        if ours:
            subprocess.run([*_as_root(), "rm", "-f", str(POLICY)], check=False)


def debian_version(package):
    query = ["dpkg-query", "-W", "-f", "${Version}", package]
    return subprocess.run(query, capture_output=True, text=True, check=True).stdout


def node(folder):
    """Installs a Node peer exactly as its lock file says; returns where it can be started."""
    if not shutil.which("node"):
        debian("nodejs")
    if not shutil.which("npm"):
        debian("npm")
    source, home = PEERS / folder, CACHE / folder
    pins = [source / "package.json", source / "package-lock.json"]
    home.mkdir(parents=True, exist_ok=True)
    if not _is_stamped(home, pins):
        for pin in pins:
            shutil.copy(pin, home)
        quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        _run(f"npm packages of {folder}", ["npm", "ci", *quiet], cwd=home)
        _stamp(home, pins)
    shutil.copy(source / "server.mjs", home)
    return home


def rust_peers():
    """Builds the Rust peers; returns the folder of their binaries."""
    _need_cargo()
    manifest = str(PEERS / "rust" / "Cargo.toml")
    build = ["cargo", "build", "--release", "--locked", "--manifest-path", manifest]
    _run("the Rust peers", build, env={**os.environ, "CARGO_TARGET_DIR": str(RUST_TARGET)})
    return RUST_TARGET / "release"


def shardwire():
    """The broker, and the load generator in it: SHARDWIRE_BIN, or a release build of this tree."""
    if given := os.environ.get("SHARDWIRE_BIN"):
        return Path(given).resolve()
    _need_cargo()
    _run("shardwire", ["cargo", "build", "--release", "--locked", "--bin", "shardwire"], cwd=ROOT)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return ROOT / target / "release" / "shardwire"


def generator_version(binary):
    """The load generator's version, and what tells its build from others."""
    told = subprocess.run([str(binary), "--version"], capture_output=True, text=True, check=True)
    build = hashlib.sha256(binary.read_bytes()).hexdigest()[:12]
    return f"{told.stdout.strip()}, sha256 {build}"


def generator_commit(binary):
    """The commit that the binary was built from: as its version tells, or else that of the tree in
    which it lies, as far as the tree can tell."""
    told = subprocess.run([str(binary), "--version"], capture_output=True, text=True, check=True)
    if named := re.search(r"\b[0-9a-f]{7,40}\b", told.stdout):
        return named[0]
    tree = _git(binary.parent, "rev-parse", "--show-toplevel")
    if not tree or not _is_ours(Path(tree) / "Cargo.toml"):
        return "unknown: the binary lies in no tree of shardwire"
    at = commit(tree)
    committed = _git(tree, "log", "-1", "--format=%ct")
    if committed and int(committed) > binary.stat().st_mtime:
        return f"unknown: built before {at}, where its tree is now"
    return at


def commit(tree=ROOT):
    """Of a tree; of this one, where the peers' sources and settings are."""
    return _git(tree, "describe", "--always", "--dirty", "--exclude=*") or "no commit"


def _git(folder, *arguments):
    """What git says of the tree in which a folder lies; nothing where it lies in none."""
    try:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _is_ours(manifest):
    try:
        return tomllib.loads(manifest.read_text())["package"]["name"] == "shardwire"
    except (OSError, tomllib.TOMLDecodeError, KeyError):
        return False


def python():
    """A Python with the plot's and the check's packages; returns its path."""
    pins = [PEERS / "harness" / "requirements.txt"]
    executable = VENV / "bin" / "python"
    if not _is_stamped(VENV, pins):
        shutil.rmtree(VENV, ignore_errors=True)
        make = [sys.executable, "-m", "venv", str(VENV)]
        if subprocess.run(make, capture_output=True, check=False).returncode != 0:
            debian("python3-venv")
            shutil.rmtree(VENV, ignore_errors=True)
            _run("a virtual environment", make)
        pip = [str(executable), "-m", "pip", "install", "-q", "--no-input", "-r", str(pins[0])]
        _run("the Python packages", pip)
        _stamp(VENV, pins)
    return executable


def _need_cargo():
    if not shutil.which("cargo"):
        raise CannotInstall("cargo: install a Rust toolchain (1.95 or later) first")


def _as_root():
    return [] if os.geteuid() == 0 else ["sudo", "-n"]


def _is_installed(package):
    query = ["dpkg-query", "-W", "-f", "${db:Status-Status}", package]
    try:
        return subprocess.run(query, capture_output=True, text=True, check=False).stdout == "installed"
    except FileNotFoundError:
        return False


def _run(what, command, **options):
    """Runs an installer with its output on standard error."""
    print(f"installing {what}", file=sys.stderr, flush=True)
    try:
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr, **options)
    except (OSError, subprocess.CalledProcessError) as failure:
        raise CannotInstall(f"{what}: {failure}") from failure


def _digest(pins):
    return hashlib.sha256(b"".join(pin.read_bytes() for pin in pins)).hexdigest()


def _is_stamped(folder, pins):
    stamp = folder / ".stamp"
    return stamp.exists() and stamp.read_text() == _digest(pins)


def _stamp(folder, pins):
    """The folder is whole; only ever called last."""
    (folder / ".stamp").write_text(_digest(pins))
