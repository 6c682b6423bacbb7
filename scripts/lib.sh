# shellcheck shell=bash
# What the scripts of this folder share; sourced, never run.

# One folder for what is costly to make or fetch again. It lies outside the work tree,
# so that a fresh clone on the same machine finds it filled.
# shellcheck disable=SC2034  # read by the scripts that source this file
berth_cache=${BERTH_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/berth}

# What is built goes where everything here looks for it, whatever folder the user builds in else.
CARGO_TARGET_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/target
export CARGO_TARGET_DIR

say() { printf '%s\n' "$*" >&2; }

die() {
    say "error: $*"
    exit 1
}

# Unlike head it reads to the end: a writer that is cut off would fail the pipe.
first_line() { awk 'NR == 1'; }

need_root() {
    [ "$(id -u)" -eq 0 ] || die "$1 needs root: run it as root or through sudo"
}

# The images are put together from packages for amd64, and the client looks for the provider there.
need_amd64() {
    local machine
    machine=$(uname -m)
    [ "$machine" = x86_64 ] || die "berth runs on amd64 only, and this machine is $machine"
}

# Whether there is a cargo that can build this tree: it answers, and is new enough.
cargo_answers() {
    local least found
    least=$(sed -nE 's/^rust-version = "([0-9.]+)"$/\1/p' "${CARGO_TARGET_DIR%/target}/Cargo.toml") || return 1
    found=$(cargo --version 2>/dev/null | sed -nE 's/^cargo ([0-9]+\.[0-9]+).*/\1/p') || return 1
    [ -n "$found" ] && [ "$(printf '%s\n' "$least" "$found" | sort -V | first_line)" = "$least" ]
}

# Finds a Rust toolchain. Through sudo both PATH and HOME are root's, while the toolchain is
# usually the caller's own: it is used where it is. What cargo fetches stays root's, so that
# nothing in the caller's home becomes so.
find_cargo() {
    local home found
    cargo_answers && return 0
    [ -n "${SUDO_USER:-}" ] || die "a Rust toolchain of the version in Cargo.toml (rust-version) or later is needed: cargo is not on the path, does not run, or is older"
    home=$(getent passwd "$SUDO_USER" | cut -d: -f6) || home=
    # The programs of rustup may be Debian's, and only its toolchains the caller's.
    if [ -n "$home" ] && [ -d "$home/.rustup" ]; then
        export PATH="$home/.cargo/bin:$PATH" RUSTUP_HOME="$home/.rustup"
        cargo_answers && return 0
    fi
    found=$(cargo --version 2>/dev/null) &&
        die "$found is older than this tree needs (rust-version in Cargo.toml): bring it up to date, with rustup update where it is rustup's"
    # shellcheck disable=SC2016  # the caller's shell expands these
    die 'a Rust toolchain is needed, and sudo hides that of '"$SUDO_USER"'; put this between sudo and the command: env "PATH=$PATH" "RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}"'
}

# Whether a Docker engine answers. One that is stuck does not, however long it is waited for.
engine_answers() {
    timeout 30 docker version --format '{{.Server.Version}}' >/dev/null 2>&1
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

# client_is_new_enough PROGRAM: whether that Terraform or OpenTofu knows all that the provider
# offers; says why where it does not. Ephemeral resources and write-only arguments both came in
# 1.11 at the latest: with Terraform 1.10 and 1.11, and with OpenTofu 1.11.
client_is_new_enough() {
    local told major minor
    # An empty configuration: what the user's own says is no matter here.
    told=$(TF_CLI_CONFIG_FILE=/dev/null CHECKPOINT_DISABLE=1 "$1" version 2>/dev/null | first_line) || told=
    read -r major minor < <(printf '%s\n' "$told" | sed -nE 's/^(Terraform|OpenTofu) v([0-9]+)\.([0-9]+).*/\2 \3/p') || {
        say "$1 does not say which version it is"
        return 1
    }
    if [ "$major" -lt 1 ] || { [ "$major" -eq 1 ] && [ "$minor" -lt 11 ]; }; then
        say "$1 is $told, and ephemeral resources need 1.11 or newer"
        return 1
    fi
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

# --- processes that outlive the script that starts them ------------------------------

# The kernel's start time of a process. A pid alone proves nothing after a reboot, since it
# may have been given to another; with its start time it is one process for good.
process_start() {
    # The command's name, in parentheses, may hold blanks: count the fields behind it.
    sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20
}

# start_detached PID_FILE LOG_FILE COMMAND…: starts a command in a session of its own, so that
# no signal to this terminal or job reaches it, and prints its pid.
start_detached() {
    local pid_file=$1 log_file=$2 waited=0 pid
    shift 2
    mkdir -p "$(dirname "$pid_file")" "$(dirname "$log_file")"
    rm -f "$pid_file" "$pid_file.new"
    # shellcheck disable=SC2016  # the inner shell expands these
    setsid --fork sh -c 'echo $$ >"$1.new"; log=$2; shift 2; exec "$@" >>"$log" 2>&1 </dev/null' \
        sh "$pid_file" "$log_file" "$@"
    while [ ! -s "$pid_file.new" ]; do
        [ "$waited" -lt 50 ] || die "$1 was not started within 5 seconds"
        sleep 0.1
        waited=$((waited + 1))
    done
    pid=$(cat "$pid_file.new")
    printf '%s %s\n' "$pid" "$(process_start "$pid")" >"$pid_file"
    rm -f "$pid_file.new"
    printf '%s\n' "$pid"
}

# Prints the pid in a file that start_detached wrote, if that very process still runs.
live_pid() {
    local pid start
    [ -s "$1" ] || return 1
    read -r pid start <"$1" || return 1
    [ -n "$start" ] && [ "$(process_start "$pid")" = "$start" ] || return 1
    printf '%s\n' "$pid"
}

# end_process PID_FILE SECONDS_MAX: asks it to end and waits. Never by force: what runs under
# these scripts has something to put in order first.
end_process() {
    local waited=0 pid
    pid=$(live_pid "$1") || return 0
    kill -TERM "$pid"
    while live_pid "$1" >/dev/null; do
        [ "$waited" -lt $(($2 * 10)) ] || return 1
        sleep 0.1
        waited=$((waited + 1))
    done
    rm -f "$1"
}
