# The Python environments: `websockets`, `python-socketio` and Schemathesis on Python 3, Autobahn's
# test suite on Python 2.7.
#
# Autobahn's suite was never ported to Python 3. No package of a current distribution brings 2.7,
# so it has to be on the machine; where it is not, the section fails and says so.

PYTHON_HOME="$CACHE/python"
SOCKETIO_HOME="$CACHE/python-socketio"
SCHEMATHESIS_HOME="$CACHE/schemathesis"
AUTOBAHN_HOME="$CACHE/autobahn"
AUTOBAHN_TOOLS="$CACHE/autobahn-tools"

# venv FOLDER: a fresh Python 3 environment. Debian splits ensurepip off into python3-venv.
venv() {
    debian python3 python3 || return 1
    rm -rf "$1"
    if ! python3 -m venv "$1" >/dev/null 2>&1; then
        rm -rf "$1"
        as_root apt-get update -q || true
        as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -q -y --no-install-recommends python3-venv </dev/null || true
        python3 -m venv "$1" || { cannot "python3 cannot make a virtual environment"; return 1; }
    fi
}

need_websockets() {
    local pins="$EXTERNAL/install/pip/websockets.txt"
    if stamped "$PYTHON_HOME" "$pins"; then return 0; fi
    venv "$PYTHON_HOME" || return 1
    "$PYTHON_HOME/bin/pip" install -q --no-input -r "$pins" ||
        { cannot "the Python package websockets could not be installed"; return 1; }
    stamp "$PYTHON_HOME" "$pins"
}

need_python_socketio() {
    local pins="$EXTERNAL/install/pip/socketio.txt"
    if stamped "$SOCKETIO_HOME" "$pins"; then return 0; fi
    venv "$SOCKETIO_HOME" || return 1
    "$SOCKETIO_HOME/bin/pip" install -q --no-input -r "$pins" ||
        { cannot "the Python package python-socketio could not be installed"; return 1; }
    stamp "$SOCKETIO_HOME" "$pins"
}

need_schemathesis() {
    local pins="$EXTERNAL/install/pip/schemathesis.txt"
    if stamped "$SCHEMATHESIS_HOME" "$pins"; then return 0; fi
    venv "$SCHEMATHESIS_HOME" || return 1
    "$SCHEMATHESIS_HOME/bin/pip" install -q --no-input -r "$pins" ||
        { cannot "the Python package schemathesis could not be installed (it wants Python 3.11)"; return 1; }
    stamp "$SCHEMATHESIS_HOME" "$pins"
}

# Prints the path of a Python 2.7, wherever it is usually kept.
python27() {
    local candidate
    for candidate in "${PYTHON27:-}" python2.7 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/2.7*/bin/python2.7 \
        /opt/pyenv/versions/2.7*/bin/python2.7 /usr/local/bin/python2.7; do
        [ -n "$candidate" ] || continue
        # Asked to run, not only to be there: pyenv leaves shims that refuse.
        if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (2, 7))' 2>/dev/null; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

need_autobahn() {
    local pins="$EXTERNAL/install/pip" python
    if stamped "$AUTOBAHN_HOME" "$pins"/autobahn*.txt; then return 0; fi
    if ! python=$(python27); then
        # Older distributions still have it; that a newer one has not is no news of its own.
        NOTE_FILE=/dev/null debian python2.7 python2.7 python2.7-dev >/dev/null 2>&1 || true
        python=$(python27) ||
            { cannot "no Python 2.7 on this machine (set PYTHON27): Autobahn was not run"; return 1; }
    fi
    # Two of the pinned packages come as source with a C part.
    debian cc build-essential || return 1
    venv "$AUTOBAHN_TOOLS" || return 1
    rm -rf "$AUTOBAHN_HOME"
    {
        "$AUTOBAHN_TOOLS/bin/pip" install -q --no-input -r "$pins/autobahn-tools.txt" &&
            "$AUTOBAHN_TOOLS/bin/virtualenv" -q -p "$python" "$AUTOBAHN_HOME" &&
            autobahn_pip -r "$pins/autobahn-base.txt" &&
            autobahn_pip --no-build-isolation -r "$pins/autobahn.txt" &&
            autobahn_pip --no-build-isolation --no-deps -r "$pins/autobahn-suite.txt"
    } || { cannot "Autobahn's test suite could not be installed on $python"; return 1; }
    stamp "$AUTOBAHN_HOME" "$pins"/autobahn*.txt
}

# pip 20.3 warns about the age of its Python with every call; the rest stays to be seen.
autobahn_pip() {
    PYTHONWARNINGS=ignore "$AUTOBAHN_HOME/bin/python" -m pip install -q --no-input "$@"
}
