# The client that is written in Rust: a crate of its own, built from its lock file into tests/.cache.

RUST_SOCKETIO="$CACHE/rust-socketio/debug/shardwire-socketio-client"

need_rust_socketio() {
    need_cargo || return 1
    # It links the system's TLS library.
    debian pkg-config pkg-config || return 1
    if ! pkg-config --exists openssl; then
        as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -q -y --no-install-recommends libssl-dev </dev/null ||
            { cannot "libssl-dev could not be installed with apt-get"; return 1; }
    fi
    CARGO_TARGET_DIR="$CACHE/rust-socketio" limit 1800 cargo build --locked \
        --manifest-path "$EXTERNAL/socketio/rust/Cargo.toml" ||
        { cannot "the client that uses the crate rust_socketio could not be built"; return 1; }
}
