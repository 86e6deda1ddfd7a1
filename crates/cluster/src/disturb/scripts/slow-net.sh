# shellcheck shell=bash
# Has everything that this machine sends be late, by the queue of its interface. Set before this: VERB (probe, begin, end),
# SAFETY (seconds), ADDRESS (its own in the lab).

timer=caravan_slow_net
# Late by a fixed time; where the kernel has no such queue, by a narrow line before which packets wait.
ways=("netem delay 40ms" "tbf rate 2mbit burst 16kb latency 400ms")

# first DEVICE: the first way that the kernel has for it, set.
first() {
    local way
    for way in "${ways[@]}"; do
        # shellcheck disable=SC2086
        if tc qdisc add dev "$1" root $way 2>/dev/null; then
            echo "$way"
            return
        fi
    done
    return 1
}

if ! command -v tc >/dev/null; then
    echo '@@ refused'; echo "it has no \`tc\`"
    exit 0
fi
nic=$(ip -4 -oneline address show | awk -v own="$ADDRESS/" 'index($4, own) == 1 { print $2; exit }')

case $VERB in
probe)
    # What a look left that was cut off.
    ip link delete caravan-probe 2>/dev/null
    # Any kind will do; kernels differ in which they have.
    ip link add caravan-probe type dummy 2>/dev/null || ip link add caravan-probe type bridge || { echo '@@ refused'; echo 'it can make no network interface to try it'; exit 0; }
    if way=$(first caravan-probe); then
        echo '@@ way'; echo "$way"
    else
        echo '@@ refused'; echo 'its kernel has neither of the queues netem and tbf'
    fi
    ip link delete caravan-probe
    ;;
begin)
    systemctl stop "$timer.timer" "$timer.service" 2>/dev/null
    systemctl reset-failed "$timer.timer" "$timer.service" 2>/dev/null
    systemd-run --quiet --unit="$timer" --on-active="$SAFETY" --timer-property=AccuracySec=1s \
        tc qdisc del dev "$nic" root || exit 1
    tc qdisc del dev "$nic" root 2>/dev/null
    echo '@@ way'; first "$nic" || exit 1
    ;;
end)
    echo '@@ seen'; tc -s qdisc show dev "$nic" root
    tc qdisc del dev "$nic" root 2>/dev/null
    if tc qdisc show dev "$nic" root | grep --quiet --extended-regexp 'netem|tbf'; then
        echo 'its queue stays' >&2
        exit 1
    fi
    systemctl stop "$timer.timer" 2>/dev/null
    ;;
esac
exit 0
