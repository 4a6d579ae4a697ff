#!/usr/bin/env bash
# Builds the cargo tools that `make test` uses and that are missing: nextest runs every test in a
# process of its own and ends one that hangs, cargo-deny checks licences and sources of
# dependencies. Where one cannot be had, `cargo xtask ci` says so and goes on without it.
set -euo pipefail

want() {
    command -v "$1" >/dev/null && return
    echo "Building $1 $2, once"
    cargo install "$1" --locked --version "$2" || echo "$1 could not be built: going on without it" >&2
}

want cargo-deny 0.20.2
want cargo-nextest 0.9.143
