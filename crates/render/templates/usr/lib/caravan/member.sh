# shellcheck shell=bash
# What an etcd member knows of the others and shows to them: which data is here, whether there is a cluster already, what
# the cluster says of this member, and who may dial it. Sourced by `network` and `bootstrap-etcd`, which read what is set.
# shellcheck disable=SC2034

DATA=/var/lib/etcd
# Whose data it is: the cluster's token, which every lab has for itself.
STAMP=$DATA/caravan-cluster
# The data is a voter's that has been part of a majority.
VOTER=$DATA/caravan-voter
# A snapshot is being restored: etcd.service does not start until this is gone, whatever data is here.
MASK=$DATA/caravan-masked
# How etcd is to start where there is no data: read by etcd.service, which does not start without it then.
ORDERS=/run/caravan/etcd.env
PEER_URL=https://$CARAVAN_ADDRESS:2380

# The members by name and URL, and the token: ETCD_INITIAL_CLUSTER, ETCD_INITIAL_CLUSTER_TOKEN.
# shellcheck source=/dev/null
source /etc/etcd/cluster.env

# etcd counts a member as there if it has a log.
has_log() {
    compgen -G "$DATA/member/wal/*.wal" >/dev/null
}

# door open|closed|vacant: who may dial this member beyond what the packet filter says. One transaction, so there is no
# moment without a filter.
# - closed: no new connections from masters. A learner refuses reads and writes, and a watch that has landed on one is not
#   tried elsewhere.
# - vacant: closed, and a member that sends a datagram to the peer port gets an error that nothing else gives, ENOPROTOOPT:
#   there is no data here, and nothing was decided. An etcd that does not run, or a machine that is off, looks otherwise.
door() {
    local rules=''
    if [[ $1 != open ]]; then
        rules+='insert rule inet caravan_filter input ip saddr @masters tcp dport 2379 ct state new reject with tcp reset;'
    fi
    if [[ $1 == vacant ]]; then
        rules+='insert rule inet caravan_filter input ip saddr @members udp dport 2380 reject with icmp type prot-unreachable;'
    fi
    printf 'include "/etc/caravan/filter.nft"\n%s\n' "${rules//;/$'\n'}" | nft --file -
}

# The id of the cluster that the lab's members form when it is new, and keep for life: a hash of their addresses and the
# token, as in etcd's membership.RaftCluster. In CLUSTER_ID, as etcd writes it.
cluster_id() {
    local pair bytes ids=()
    for pair in ${ETCD_INITIAL_CLUSTER//,/ }; do
        read -r bytes _ < <(printf '%s%s' "${pair#*=}" "$ETCD_INITIAL_CLUSTER_TOKEN" | sha1sum)
        ids+=("${bytes:0:16}")
    done
    mapfile -t ids < <(printf '%s\n' "${ids[@]}" | LC_ALL=C sort)
    printf -v bytes '%s' "${ids[@]}"
    # shellcheck disable=SC2001
    bytes=$(sed 's/../\\x&/g' <<<"$bytes")
    # shellcheck disable=SC2059
    read -r bytes _ < <(printf "$bytes" | sha1sum)
    bytes=${bytes:0:16}
    # Leading zeros are not written.
    while [[ $bytes == 0?* ]]; do bytes=${bytes#0}; done
    CLUSTER_ID=$bytes
}

# What the machine of peer URL $1 shows, in SHOWN:
# - vacant: it has no data and nothing was decided
# - fresh: its etcd runs and knows of no member that was ever ready: a cluster that is being made
# - cluster: its etcd runs, and its cluster has worked
# - foreign: as before, and it is not this lab's
# - silent: none of this can be told
shown_by() {
    local said='' reply host=${1#https://}
    host=${host%:*}
    SHOWN=silent
    if accepts "$host:2380"; then
        # Told by the member alone, without a quorum.
        reply=$(fetch --http1.1 --include --cacert /etc/etcd/pki/ca.crt --cert /etc/etcd/pki/peer.crt \
            --key /etc/etcd/pki/peer.key "$1/members") || return 0
        case ${reply,,} in
            *"x-etcd-cluster-id: $CLUSTER_ID"[!0-9a-f]*'"clienturls":'*) SHOWN=cluster ;;
            *"x-etcd-cluster-id: $CLUSTER_ID"[!0-9a-f]*) SHOWN=fresh ;;
            *) SHOWN=foreign ;;
        esac
        return
    fi
    # An error comes back to the second use of the socket.
    read -r -t "$CARAVAN_PATIENCE" said < <(
        LC_ALL=C
        { exec 3<>"/dev/udp/$host/2380" && printf . >&3 && read -r -t "$((CARAVAN_PATIENCE / 2)).5" -u 3; } 2>&1
    ) || true
    [[ $said != *'Protocol not available'* ]] || SHOWN=vacant
}

# etcdctl, asking the other members.
ask_others() {
    local pair endpoints=''
    for pair in ${ETCD_INITIAL_CLUSTER//,/ }; do
        pair=${pair#*=}
        [[ $pair == "$PEER_URL" ]] || endpoints+=,${pair%:*}:2379
    done
    etcdctl --endpoints "${endpoints#,}" --cacert /etc/etcd/pki/ca.crt --cert /etc/etcd/pki/healthcheck-client.crt \
        --key /etc/etcd/pki/healthcheck-client.key --dial-timeout "$((2 * CARAVAN_PATIENCE))s" \
        --command-timeout "$((4 * CARAVAN_PATIENCE))s" "$@"
}

# What the cluster says of this member, by a read that a majority has confirmed: fails without one. In
# - STANDING: absent; added (by its address, never started); founder (of the first list, never started); learner; voter
# - ID: its id there
# - LISTED: all members, as ETCD_INITIAL_CLUSTER has them
# - JOINING: the name of another member that is a learner
# - STRANGERS: members that are not in the lab
standing() {
    local list pair id name peer client learner known
    STANDING=absent ID='' LISTED='' JOINING='' STRANGERS=''
    list=$(ask_others member list --write-out simple 2>&1) || return 1
    # 8e9e05c52164694d, started, etcdone, https://192.168.29.61:2380, https://192.168.29.61:2379, false
    while IFS=, read -r id _ name peer client learner; do
        name=${name# } peer=${peer# } client=${client# } learner=${learner# } known=
        for pair in ${ETCD_INITIAL_CLUSTER//,/ }; do
            [[ ${pair#*=} != "$peer" ]] || known=${pair%%=*}
        done
        LISTED+=,${name:-${known:-$id}}=$peer
        [[ $known ]] || STRANGERS+=" ${name:-$id}"
        if [[ $peer == "$PEER_URL" ]]; then
            ID=$id
            if [[ $client ]]; then
                STANDING=voter
                [[ $learner == false ]] || STANDING=learner
            elif [[ $name ]]; then
                STANDING=founder
            else
                STANDING=added
            fi
        elif [[ $learner == true ]]; then
            JOINING=${name:-${known:-$id}}
        fi
    done <<<"$list"
    LISTED=${LISTED#,}
}
