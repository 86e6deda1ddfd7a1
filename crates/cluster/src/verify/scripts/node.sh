# shellcheck shell=bash
# What masters and workers are asked too.
# Set before this: ENDPOINT (host:port of the API), UNUSED (an address of the service network that no service has),
# API_SERVICE, API_PORT.

echo '@@ kubeconfig-servers'
# YAML may have quotes there.
grep --with-filename --only-matching 'server: .*' /etc/kubernetes/*.conf | tr --delete '"'
echo '@@ api-sockets'
api_sockets() {
    ss --no-header --tcp --numeric --processes state established "( dport = :$API_PORT )"
}
# Of lines of `ss`, a kubelet's that lead past the endpoint; without the queues' lengths, which change.
kubelet_elsewhere() {
    awk -v endpoint="$ENDPOINT" '/"kubelet"/ && $4 != endpoint { print 0, 0, $3, $4, $5 }'
}
# A kubelet asks the API server beside it for its health, by its address and over a connection of its own each time,
# which ends after at most 15 s (kubeadm's timeoutSeconds). What stays longer is no such question.
sockets=$(api_sockets)
stays=$(kubelet_elsewhere <<<"$sockets")
for ((look = 0; look < 17; look++)); do
    [[ $stays ]] || break
    sleep 1
    stays=$(api_sockets | kubelet_elsewhere | grep --fixed-strings --line-regexp "$stays")
done
awk -v endpoint="$ENDPOINT" '!/"kubelet"/ || $4 == endpoint' <<<"$sockets"
echo "$stays"

# What the machine image came with, and what containerd has. A box of the user's own keeps no list.
echo '@@ preloaded-images'
cat /opt/caravan/containerd/images
echo '@@ images'
ctr --namespace k8s.io images list --quiet

echo '@@ service-route'
ip -4 route get "$UNUSED"
echo '@@ guard'
nft list table inet caravan_guard
echo '@@ service-dials'
# A service is reached once kube-proxy has written its rules, which after a start is a while after the node is Ready.
reach() {
    local said limit=$((SECONDS + 25 * TIMES))
    while said=$(dial "$1" "$2") && [[ $said != *" open" ]] && ((SECONDS < limit)); do
        sleep 0.5
    done
    echo "$said"
}
# kube-proxy may drop what is sent there rather than refuse it: a second is as good a proof as two.
dial "$UNUSED" 80 1 &
reach "$API_SERVICE" 443 &
wait
# After the dials, so that what they let out is counted.
echo '@@ leaked'
nft list counter inet caravan_guard leaked
