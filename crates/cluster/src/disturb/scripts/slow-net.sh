# shellcheck shell=bash
# Has everything that this machine sends be late, by the queue of its interface. Set before this: VERB (probe, begin, end),
# SAFETY (seconds), ADDRESS (its own in the lab), OTHER (that of whom it talks to).

timer=caravan_slow_net
# Bytes and packets that a narrow line takes at once: one packet and a little.
burst=2kb

# sent: how many bytes the machine has sent until now.
sent() { cat "/sys/class/net/$nic/statistics/tx_bytes"; }

# narrow: a line that is a quarter wider than what the machine sends now: 8 bits a byte, in 3 seconds. One that is much wider delays
# nothing, and through one that is not as wide nothing goes in the end.
narrow() {
    local before rate
    before=$(sent)
    sleep 3
    rate=$((($(sent) - before) * 10 / 3))
    echo "tbf rate $((rate > 64000 ? rate : 64000))bit burst $burst latency 400ms"
}

# add DEVICE WORDS...: sets a queue.
add() { tc qdisc add dev "$1" root "${@:2}" 2>/dev/null; }

# Late by a fixed time; where the kernel has no such queue, by a narrow line before which packets wait.
late=(netem delay 40ms)

# How long a packet and its answer take, in milliseconds.
round_trip() { ping -n -q -c 15 -i 0.2 -W 2 "$OTHER" | awk -F/ '/^(rtt|round-trip)/ { print $5 }'; }

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
    if ! add caravan-probe "${late[@]}" && ! add caravan-probe tbf rate 1mbit burst "$burst" latency 400ms; then
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
    echo '@@ round-trip'; round_trip
    echo '@@ way'
    if add "$nic" "${late[@]}"; then
        echo "${late[*]}"
    else
        read -r -a way < <(narrow)
        add "$nic" "${way[@]}" || exit 1
        echo "${way[*]}"
    fi
    ;;
end)
    echo '@@ round-trip'; round_trip
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
