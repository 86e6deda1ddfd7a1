# shellcheck shell=bash
# Sends the largest packets that this machine's probe may send, from its own network, to the probes of all other nodes. Nothing
# on the way may cut them into pieces, and each comes back as large as it was.
# Set before this: POD (the probe's address), PEERS (those of the others), ADDRESS (the machine's own), TIMES.

# mtu COMMAND...: of each interface that the command (an `ip -oneline link`) shows, its name and its largest packet in bytes.
mtu() {
    "$@" | sed -n 's/^[0-9]*: \([^@:]*\)[@:].* mtu \([0-9]*\) .*/\1 \2/p'
}

# interface COMMAND...: the name of the one that the command (an `ip -oneline address`) shows.
interface() {
    local name=
    read -r _ name _ < <("$@" 2>/dev/null)
    [[ $name ]] && echo "$name"
}

# send ADDRESS BYTES: fails unless one of three packets comes back. 20 bytes are IP's and 8 are ICMP's.
send() {
    "${inside[@]}" ping -n -q -M 'do' -c 3 -i 0.3 -W "$((2 * TIMES))" -s "$(($2 - 28))" "$1"
}

# try ADDRESS BYTES: one line, `ADDRESS whole`, or `ADDRESS lost` and what of smaller packets.
try() {
    if send "$1" "$2" >/dev/null 2>&1; then
        echo "$1 whole"
    elif send "$1" 500 >/dev/null 2>&1; then
        echo "$1 lost, while packets of 500 bytes come back"
    else
        echo "$1 lost, and packets of 500 bytes are lost too"
    fi
}

echo '@@ lab-mtu'
nic=$(interface ip -4 -oneline address show to "$ADDRESS") && mtu ip -oneline link show dev "$nic"
echo '@@ mesh-mtu'
mtu ip -oneline link show type vxlan

inside=()
for process in $(pgrep --exact probe); do
    # One of an earlier run may be on its way out.
    if nic=$(interface nsenter --target "$process" --net ip -4 -oneline address show to "$POD"); then
        inside=(nsenter --target "$process" --net)
        break
    fi
done
echo '@@ pod-mtu'
if ((${#inside[@]})); then
    size=$(mtu "${inside[@]}" ip -oneline link show dev "$nic")
    echo "$size"
    echo '@@ packets'
    for peer in $PEERS; do
        try "$peer" "${size##* }" &
    done
    wait
fi
echo '@@ end'
