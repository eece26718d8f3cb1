# Shared by the scripts beside it; sourced, not run.
# shellcheck shell=bash

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Remembers PACKAGE for install_missing unless COMMAND is there.
# need COMMAND PACKAGE
missing=()
need() {
    command -v "$1" >/dev/null || missing+=("$2")
}

# What compiling the workspace needs: Rust, and a C compiler for SQLite and the cryptography.
need_toolchain() {
    if ! command -v cargo >/dev/null; then
        echo "Install the Rust toolchain, 1.95 or newer, then run this again." >&2
        return 1
    fi
    need cc build-essential
}

# Installs what `need` found missing, with Debian's and Ubuntu's package manager; elsewhere says
# what to install.
install_missing() {
    if ((${#missing[@]} == 0)); then
        return
    fi
    if ! command -v apt-get >/dev/null; then
        echo "Install what the Debian packages ${missing[*]} hold, then run this again." >&2
        return 1
    fi
    local as_root=()
    if ((EUID != 0)); then
        as_root=(sudo)
    fi
    echo "Installing ${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}
