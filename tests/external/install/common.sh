# What the installers share: where things go, and how a failure gets its name.
#
# Everything that can be put beside the tests lands in tests/.cache, under a stamp that holds the
# hash of its pins: same pins, nothing to do. Debian packages go into the system, as they must.
# Sourced by tests/run and by nothing else; `cannot` is how an installer gives up, and what it
# says is repeated in the closing summary.

CACHE="$ROOT/tests/.cache"
EXTERNAL="$ROOT/tests/external"
mkdir -p "$CACHE"

# cannot TEXT: this section fails, and the summary says TEXT.
cannot() {
    printf '%s\n' "$*" >>"${NOTE_FILE:-/dev/null}"
    printf 'cannot go on: %s\n' "$*" >&2
    return 1
}

# as_root COMMAND…: with sudo only where we are not root already.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

# debian COMMAND PACKAGE…: makes COMMAND available from Debian's packages, if it is not.
debian() {
    local command=$1
    shift
    if command -v "$command" >/dev/null; then return 0; fi
    if ! command -v apt-get >/dev/null; then
        cannot "$command is missing, and there is no apt-get to install $* with"
        return 1
    fi
    as_root apt-get update -q || true
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "$@" </dev/null ||
        { cannot "$* could not be installed with apt-get"; return 1; }
    command -v "$command" >/dev/null || cannot "apt-get installed $*, but $command is not there"
}

# stamped FOLDER PINS…: true if FOLDER was installed from exactly these files.
stamped() {
    local folder=$1
    shift
    [ -f "$folder/.stamp" ] && [ "$(cat "$folder/.stamp")" = "$(cat "$@" | sha256sum)" ]
}

# stamp FOLDER PINS…: FOLDER is whole; only ever called last.
stamp() {
    local folder=$1
    shift
    cat "$@" | sha256sum >"$folder/.stamp"
}
