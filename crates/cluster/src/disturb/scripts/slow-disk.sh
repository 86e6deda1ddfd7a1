# shellcheck shell=bash
# Has etcd's disk take few writes a second, by the I/O controller of etcd's own control group. Set before this: VERB (probe,
# begin, end), SAFETY (seconds), IOPS (how many writes a second).

place=/var/lib/etcd
timer=caravan_slow_disk

# How long twenty writes of one block take that each wait for the disk, in milliseconds. With words: under those properties.
writes() {
    local began ended
    began=$(date +%s%3N)
    systemd-run --quiet --wait --collect "$@" dd if=/dev/zero of=$place/.caravan-slow bs=4k count=20 oflag=dsync \
        >/dev/null 2>&1 || return 1
    ended=$(date +%s%3N)
    echo "$((ended - began))"
}

# What etcd says of its writes to its log: seconds in all, and how many.
log_writes() {
    curl --silent --max-time 10 --cacert /etc/etcd/pki/ca.crt --cert /etc/etcd/pki/healthcheck-client.crt \
        --key /etc/etcd/pki/healthcheck-client.key "https://$ADDRESS:$PORT/metrics" |
        awk '/^etcd_disk_wal_fsync_duration_seconds_sum / { sum = $2 } /^etcd_disk_wal_fsync_duration_seconds_count / { print sum, $2 }'
}

case $VERB in
probe)
    # A limit that is accepted and does nothing is as common as one that is refused; so its effect is looked at.
    free=$(writes) || free=failed
    slow=$(writes --property="IOWriteIOPSMax=$place 10") || slow=failed
    rm -f $place/.caravan-slow
    echo '@@ free'; echo "$free"
    echo '@@ slow'; echo "$slow"
    ;;
begin)
    systemctl stop "$timer.timer" "$timer.service" 2>/dev/null
    systemctl reset-failed "$timer.timer" "$timer.service" 2>/dev/null
    systemd-run --quiet --unit="$timer" --on-active="$SAFETY" --timer-property=AccuracySec=1s \
        systemctl set-property --runtime etcd.service IOWriteIOPSMax= || exit 1
    echo '@@ log'; log_writes
    systemctl set-property --runtime etcd.service "IOWriteIOPSMax=$place $IOPS" || exit 1
    ;;
end)
    echo '@@ log'; log_writes
    systemctl set-property --runtime etcd.service IOWriteIOPSMax= || exit 1
    systemctl stop "$timer.timer" 2>/dev/null
    ;;
esac
exit 0
