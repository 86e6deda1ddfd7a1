# shellcheck shell=bash
# Restoring a snapshot on the machine of one etcd member, step by step: read by etcd/restore.rs, which sets TOKEN (of the
# cluster that is to be), SUM (the snapshot's SHA-256) and BUMP (the revisions that are left out) above this, and calls one
# of the functions below it. Each may be called again, and may have been cut off anywhere: what is there is looked at first.
set -Eeuo pipefail
umask 077
# shellcheck source=/dev/null
source /usr/lib/caravan/lib.sh
# DATA, STAMP, VOTER, MASK; the members and the token that this machine was given.
# shellcheck source=/dev/null
source /usr/lib/caravan/member.sh

# All that a restoration needs, in the volume of the data: what is moved is never copied.
WORK=$DATA/caravan-restore
SNAPSHOT=$WORK/snapshot.db
# What etcdutl makes of it, until it is in its place.
MADE=$WORK/data/member
# What was there before.
OLD=$WORK/old
GIVEN=/etc/etcd/cluster.env

yes_if() {
    if "$@"; then echo yes; else echo no; fi
}

# True if file $1 says the token of the cluster that is to be.
says_token() {
    [[ -e $1 && $(<"$1") == "$TOKEN" ]]
}

is_swapped() {
    says_token "$STAMP" && [[ $ETCD_INITIAL_CLUSTER_TOKEN == "$TOKEN" && -e $DATA/member && ! -e $MADE ]]
}

runs() {
    [[ $(systemctl show --property ActiveState --value etcd.service) != @(inactive|failed) ]]
}

refuse() {
    echo "$1" >&2
    exit 1
}

standing() {
    echo '@@ masked'
    yes_if test -e "${MASK:-/none}"
    echo '@@ runs'
    yes_if runs
    echo '@@ staged'
    yes_if says_token "$WORK/staged"
    echo '@@ swapped'
    yes_if is_swapped
    echo '@@ changed'
    yes_if test -e "$OLD"
    echo '@@ data'
    yes_if has_log
}

# Whether all that is needed is there, and how much room, in bytes.
able() {
    command -v etcdutl >/dev/null || refuse "the image of this machine has no etcdutl"
    [[ ${MASK:-} && $(</etc/systemd/system/etcd.service) == *"$MASK"* ]] ||
        refuse "its files are of a version that cannot keep etcd from starting: halt and up deliver newer ones"
    echo '@@ free'
    df --output=avail --block-size=1 "$DATA" | tail -n 1
}

# etcd is stopped, and nothing starts it: not the bootstrap, not a reboot, not a container that is made anew.
stop() {
    : >"$MASK"
    sync --file-system "$DATA"
    systemctl stop caravan-bootstrap.service etcd.service
    ! runs || refuse "etcd still runs"
}

# Whether the snapshot is here already. What an earlier restoration has left goes.
fetched() {
    if [[ -e $WORK/staged ]] && ! says_token "$WORK/staged"; then
        clean
    fi
    mkdir -p "$WORK"
    echo '@@ there'
    yes_if is_snapshot
}

is_snapshot() {
    local sum
    [[ -e $SNAPSHOT ]] || return 1
    read -r sum _ < <(sha256sum <"$SNAPSHOT")
    [[ $sum == "$SUM" ]]
}

# Makes a data folder of the snapshot, beside the one that is there. The token is an argument, as etcdutl takes it in no
# other way; on this machine nobody but root would see it.
stage() {
    [[ -e $MASK ]] || refuse "etcd is not kept from starting"
    is_snapshot || refuse "the snapshot did not arrive whole"
    rm -rf "$WORK/data" "$WORK/undone" "$WORK/staged"
    etcdutl snapshot restore "$SNAPSHOT" --name "$CARAVAN_MACHINE" --initial-cluster "$ETCD_INITIAL_CLUSTER" \
        --initial-cluster-token "$TOKEN" --initial-advertise-peer-urls "$PEER_URL" --data-dir "$WORK/data" \
        --bump-revision "$BUMP" --mark-compacted >/dev/null 2>"$WORK/said" || {
        tail -n 2 "$WORK/said" >&2
        exit 1
    }
    sync --file-system "$DATA"
    say_in "$WORK/staged"
    sync --file-system "$DATA"
}

# Writes the token into file $1, whole or not at all.
say_in() {
    printf '%s\n' "$TOKEN" >"$1.new"
    mv "$1.new" "$1"
}

# The restored data takes the place of what was there, which stays until the restored cluster works.
swap() {
    [[ -e $MASK ]] || refuse "etcd is not kept from starting"
    ! runs || refuse "etcd runs"
    says_token "$WORK/staged" || refuse "nothing is staged here"
    mkdir -p "$OLD"
    [[ -e $OLD/cluster.env ]] || cp --preserve=all "$GIVEN" "$OLD/cluster.env"
    if [[ -e $STAMP ]] && ! says_token "$STAMP"; then
        cp --preserve=all "$STAMP" "$OLD/caravan-cluster"
    fi
    if [[ -e $MADE ]]; then
        [[ ! -e $VOTER ]] || mv --force "$VOTER" "$OLD/caravan-voter"
        [[ ! -e $DATA/member ]] || mv --no-target-directory "$DATA/member" "$OLD/member"
        mv --no-target-directory "$MADE" "$DATA/member"
    fi
    say_in "$STAMP"
    give_token "$TOKEN"
    sync --file-system "$DATA"
    sync --file-system "$GIVEN"
}

# The token in what this machine was given.
give_token() {
    local line text=''
    while IFS= read -r line; do
        [[ $line != ETCD_INITIAL_CLUSTER_TOKEN=* ]] || line="ETCD_INITIAL_CLUSTER_TOKEN=\"$1\""
        text+=$line$'\n'
    done <"$GIVEN"
    printf '%s' "$text" >"$GIVEN.new"
    chmod --reference "$GIVEN" "$GIVEN.new"
    mv "$GIVEN.new" "$GIVEN"
}

# etcd starts, by the bootstrap, which looks whose data it is.
start() {
    rm -f "$MASK"
    sync --file-system "$DATA"
    systemctl reset-failed etcd.service caravan-bootstrap.service 2>/dev/null || true
    systemctl restart --no-block caravan-bootstrap.service
}

start_restored() {
    is_swapped || refuse "the restored data is not in its place"
    start
}

# What was there before comes back, where it was changed; etcd stays as it is.
take_back() {
    [[ -e $MASK ]] || return 0
    mkdir -p "$WORK"
    if [[ -e $OLD/member ]]; then
        [[ ! -e $DATA/member ]] || mv --no-target-directory "$DATA/member" "$WORK/undone"
        mv --no-target-directory "$OLD/member" "$DATA/member"
    elif says_token "$WORK/staged" && [[ ! -e $MADE && ! -e $WORK/undone && -e $DATA/member ]]; then
        # There was none.
        mv --no-target-directory "$DATA/member" "$WORK/undone"
    fi
    rm -f "$WORK/staged"
    if [[ -e $OLD/caravan-cluster ]]; then
        mv --force "$OLD/caravan-cluster" "$STAMP"
    elif says_token "$STAMP"; then
        rm -f "$STAMP"
    fi
    [[ ! -e $OLD/caravan-voter ]] || mv --force "$OLD/caravan-voter" "$VOTER"
    [[ ! -e $OLD/cluster.env ]] || mv --force "$OLD/cluster.env" "$GIVEN"
    rm -rf "$OLD"
    sync --file-system "$DATA"
}

# What was needed goes; the data that was there before stays aside, that of the last restoration alone.
clean() {
    local aside=$DATA/aside/before-restore
    if [[ -e $OLD/member ]]; then
        rm -rf "$aside"
        mkdir -p "$aside"
        mv --no-target-directory "$OLD/member" "$aside/member"
    fi
    # Whole or not at all: a part of it would be taken for what was there before the next restoration.
    if [[ -e $OLD ]]; then
        rm -rf "$WORK/gone"
        mv --no-target-directory "$OLD" "$WORK/gone"
    fi
    rm -rf "$WORK"
}
