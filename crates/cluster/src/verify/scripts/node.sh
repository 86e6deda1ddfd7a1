# shellcheck shell=bash
# What masters and workers are asked too.
# Set before this: SERVICES (the service network), UNUSED (an address in it that no service has), API_SERVICE.

echo '@@ kubeconfig-servers'
grep --with-filename --only-matching 'server: .*' /etc/kubernetes/*.conf
echo '@@ api-sockets'
ss --no-header --tcp --numeric --processes state established '( dport = :6443 )'

echo '@@ service-route'
ip -4 route get "$UNUSED"
echo '@@ guard'
nft list table inet caravan_guard
echo '@@ service-dials'
# A service is reached once kube-proxy has written its rules, which after a start is a while after the node is Ready.
reach() {
    local said limit=$((SECONDS + 25))
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
