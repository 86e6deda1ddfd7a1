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
# kube-proxy may drop what is sent there rather than refuse it: a second is as good a proof as two.
dial "$UNUSED" 80 1 &
dial "$API_SERVICE" 443 &
wait
# After the dials, so that what they let out is counted.
echo '@@ leaked'
nft list counter inet caravan_guard leaked
