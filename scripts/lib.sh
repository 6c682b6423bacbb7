# shellcheck shell=bash
# What the scripts of this folder share; sourced, never run.

# One folder for what is costly to make or fetch again. It lies outside the work tree,
# so that a fresh clone on the same machine finds it filled.
# shellcheck disable=SC2034  # read by the scripts that source this file
berth_cache=${BERTH_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/berth}

say() { printf '%s\n' "$*" >&2; }

die() {
    say "error: $*"
    exit 1
}

need_root() {
    [ "$(id -u)" -eq 0 ] || die "$1 needs root: run it as root or through sudo"
}

# Runs a command and shows its output only when it fails, so that progress stays readable.
# The log goes to a file rather than a variable: a build prints more than a shell should hold.
quietly() {
    local log
    log=$(mktemp)
    if "$@" >"$log" 2>&1; then
        rm -f "$log"
    else
        local status=$?
        say "this failed with status $status: $*"
        tail -n 40 "$log" >&2
        rm -f "$log"
        return "$status"
    fi
}

package_is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null)" = 'ii ' ]
}

# Installs what is missing of the Debian packages named. A machine that has them all is
# answered without asking apt, which keeps repeated runs quick and offline.
# The policy file stops a package from starting its service during the installation:
# there may be no init system, and an engine that starts by itself is nobody's to end.
install_packages() {
    local missing=() package policy=/usr/sbin/policy-rc.d made_policy=
    for package in "$@"; do
        package_is_installed "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    need_root "installing ${missing[*]}"
    command -v apt-get >/dev/null || die "apt-get is absent; install by hand: ${missing[*]}"
    say "installing ${missing[*]}"
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 0755 "$policy"
        made_policy=yes
    fi
    local status=0
    apt_get_install "${missing[@]}" || status=$?
    [ -z "$made_policy" ] || rm -f "$policy"
    return "$status"
}

# The lists on the machine may be absent or old, so a first failure is answered by one update.
apt_get_install() {
    local install=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends
        -o "DPkg::Lock::Timeout=120" install "$@")
    if "${install[@]}" >/dev/null 2>&1; then
        return 0
    fi
    quietly apt-get -q -o "DPkg::Lock::Timeout=120" update
    quietly "${install[@]}"
}
