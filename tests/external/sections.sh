# What each section of tests/run does: a function each, run in a shell of its own with `set -e`.
#
# A section prints `# N passed, N failed` if it counts its checks, and lines beginning with `= ` for
# what is worth showing even when all is well (see summary.sh).

export PYTHONDONTWRITEBYTECODE=1

# limit SECONDS COMMAND…: only there to end a hang. In the foreground, for otherwise `timeout` leaves
# the section's process group, and nobody could stop what it runs.
limit() {
    timeout --foreground --kill-after=30 "$@"
}

need_cargo() {
    command -v cargo >/dev/null || cannot "cargo is missing (a Rust toolchain as in Cargo.toml)"
    # Some crates have a part in C.
    debian cc build-essential
}

# The broker as it is shipped, unless the caller brings one.
need_binary() {
    if [ -n "${SHARDWIRE_BIN:-}" ]; then return 0; fi
    need_cargo
    limit 3600 cargo build --release --locked --bin shardwire ||
        cannot "there is no broker to test: the release build failed"
}

section_fmt() {
    need_cargo
    cargo fmt --version || cannot "rustfmt is missing (rustup component add rustfmt)"
    cargo fmt --check
}

section_clippy() {
    need_cargo
    cargo clippy --version || cannot "clippy is missing (rustup component add clippy)"
    limit 3600 cargo clippy --locked --all-targets -- -D warnings
}

section_doc() {
    need_cargo
    RUSTDOCFLAGS="-D warnings" limit 3600 cargo doc --locked --no-deps
}

section_test() {
    need_cargo
    limit 3600 cargo test --locked --no-fail-fast
}

section_build() {
    need_cargo
    limit 3600 cargo build --release --locked --bin shardwire
}

section_ws() {
    need_node
    debian openssl openssl # for certificates
    need_binary
    limit 900 node tests/external/ws/run.mjs
}

section_websockets() {
    need_node # for the starter of the broker
    need_websockets
    need_binary
    limit 300 node tests/external/with-broker.mjs tests/external/websockets/shardwire.toml \
        "$PYTHON_HOME/bin/python" tests/external/websockets/run.py
}

section_chromium() {
    need_node
    need_chromium
    need_binary
    limit 300 node tests/external/chromium/run.mjs
}

# Stock Socket.IO clients: those of npm, in Node and in Chromium, and one of Python and of Rust. What
# one of them cannot do keeps none from running.
section_socketio() {
    need_node
    need_chromium
    need_python_socketio
    need_rust_socketio
    need_binary
    local status=0 settings run
    limit 1800 node tests/external/socketio/run.mjs || status=1
    for settings in shardwire recovering; do
        run=(limit 600 node tests/external/with-broker.mjs --relay
            "tests/external/socketio/$settings.toml")
        "${run[@]}" "$SOCKETIO_HOME/bin/python" tests/external/socketio/python/run.py || status=1
        "${run[@]}" "$RUST_SOCKETIO" || status=1
    done
    return "$status"
}

section_schemathesis() {
    need_node # for the starter of the broker, and its clients
    need_schemathesis
    need_binary
    limit 900 node tests/external/schemathesis/run.mjs \
        "$SCHEMATHESIS_HOME/bin/st" "$CACHE/schemathesis-report"
}

# The load generator in each protocol that it speaks, against servers of others.
section_peers() {
    need_node
    need_binary
    SHARDWIRE_BIN=${SHARDWIRE_BIN:-$ROOT/target/release/shardwire} limit 1800 \
        benches/peers/run --check
}

section_autobahn() {
    need_node # for the starter of the broker
    need_autobahn
    need_binary
    limit 6000 node tests/external/with-broker.mjs tests/external/autobahn/shardwire.toml \
        tests/external/autobahn/run "$AUTOBAHN_HOME" "$CACHE/autobahn-report" "${DEFLATE[@]}"
}

section_fuzz() {
    need_cargo
    [ -f tests/fuzz/run ] || cannot "tests/fuzz/run is missing: nothing was fuzzed"
    limit 7200 bash tests/fuzz/run "${FUZZ_SECONDS:-60}"
}

# Every benchmark runs once, unmeasured: it has to work, its figures are taken elsewhere.
section_bench() {
    need_cargo
    compgen -G 'benches/*' >/dev/null || cannot "benches/ is missing: no benchmark was run"
    limit 3600 cargo test --locked --bench '*'
}
