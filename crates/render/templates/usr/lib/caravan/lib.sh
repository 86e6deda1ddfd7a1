# shellcheck shell=bash
# What the scripts of a machine share: progress lines, waits that say what they wait for, and cheap questions.
# Sourced by the other files of this folder; nothing here depends on the lab.

# shellcheck source=/dev/null
source /etc/caravan/machine.env

# What is finished for good. Read by the scripts that source this.
# shellcheck disable=SC2034
STATE=/var/lib/caravan

# Prints one progress line. `cargo xtask up` reads these from the journal of caravan-bootstrap:
# CARAVAN <unix time in ms> <phase> <start|wait|done|fail> <text>
say() {
    local now=${EPOCHREALTIME/[.,]/}
    printf 'CARAVAN %s %s\n' "${now%???}" "$*"
}

# The phase under way.
# shellcheck disable=SC2034
PHASE=prepare
# shellcheck disable=SC2034
begin() {
    PHASE=$1
    say "$1" start "${@:2}"
}

finish() {
    say "$1" "done" "${@:2}"
}

# Ends the script; systemd starts it again and it goes on where it was.
fail() {
    local phase=$1
    shift
    say "$phase" fail "$*"
    exit 1
}

# Sleeps for $1 seconds without starting a process: reading from a pipe that nobody writes to.
exec {nobody}<> <(:)
pause() {
    read -r -t "$1" -u "$nobody" || true
}

# await PHASE SECONDS WHAT COMMAND...: runs COMMAND four times a second until it succeeds (EVERY=10 before it: every ten
# seconds); says WHAT it waits for at once, then every ten seconds; after SECONDS, or more where machines are slow, it gives up, so
# that the unit shows as failed in `systemctl status`.
await() {
    local phase=$1 limit=$(($2 * ${CARAVAN_PATIENCE:-1})) what=$3 begun=$SECONDS next=0 waited
    shift 3
    until "$@"; do
        waited=$((SECONDS - begun))
        if ((waited >= limit)); then
            fail "$phase" "$what: not within ${limit}s; more: journalctl -b"
        fi
        if ((waited >= next)); then
            say "$phase" wait "$what (${waited}s)"
            next=$((waited + 10))
        fi
        pause "${EVERY:-0.25}"
    done
}

# Fetches a URL quietly; fails on anything but a good answer. Further arguments go to curl.
fetch() {
    curl --silent --fail --max-time $((3 * ${CARAVAN_PATIENCE:-1})) "$@"
}

# True if somebody accepts connections at $1 (address:port), whatever becomes of them: a load balancer that has no master
# yet holds them. Starts no program, since it is asked often: the shell connects by itself, beside a clock.
accepts() {
    local word=
    read -r -t "${CARAVAN_PATIENCE:-1}" word < <({ exec 3<>"/dev/tcp/${1%:*}/${1#*:}"; } 2>/dev/null && echo open)
    [[ $word == open ]] || { kill "$!" 2>/dev/null; return 1; }
}

# True if who listens on port $1 of this machine says 200 to a GET of $2. Without `curl`, which takes as long to start as
# all the rest; in a shell of its own, which a connection that is cut ends.
answers() (
    { exec 3<>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null || exit 1
    printf 'GET %s HTTP/1.0\r\n\r\n' "$2" >&3
    read -r -t "$((2 * ${CARAVAN_PATIENCE:-1}))" _ status _ <&3
    [[ $status == 200 ]]
)

# Installs the content of file $1 as $2 without replacing the file itself, because the container engine mounts
# /etc/hosts and /etc/resolv.conf; writes only when something changes.
overwrite() {
    cmp --quiet "$1" "$2" || cat "$1" >"$2"
}

# True, once, if the files in $2... are not as they were when this was last asked about unit $1.
changed_since_start() {
    local file=/run/caravan/$1.sum sum
    shift
    sum=$(sha256sum "$@")
    if [[ -e $file && $(<"$file") == "$sum" ]]; then
        return 1
    fi
    mkdir -p /run/caravan
    printf '%s' "$sum" >"$file"
}
