# Node and the npm packages of the client tests, in tests/.cache/node: the clients themselves, what
# steers a browser, and what a page of one of them is built with.
#
# The lock file names no host: npm takes the packages from whatever registry it is set up for and
# checks them against the hashes of the lock.

NODE_HOME="$CACHE/node"

need_node() {
    debian node nodejs || return 1
    debian npm npm || return 1
    local pins="$EXTERNAL/install/npm"
    if stamped "$NODE_HOME" "$pins/package.json" "$pins/package-lock.json"; then return 0; fi
    rm -rf "$NODE_HOME"
    mkdir -p "$NODE_HOME"
    cp "$pins/package.json" "$pins/package-lock.json" "$NODE_HOME/"
    (cd "$NODE_HOME" && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error) ||
        { cannot "the npm packages of the client tests could not be installed"; return 1; }
    stamp "$NODE_HOME" "$pins/package.json" "$pins/package-lock.json"
}

# The browser comes from Debian: playwright-core brings none along.
need_chromium() {
    debian chromium chromium
}
