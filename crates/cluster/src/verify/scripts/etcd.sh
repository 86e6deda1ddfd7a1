# shellcheck shell=bash
# What etcd members are asked too.
# Set before this: MEMBERS (addresses of the other members), ETCD_PEER_PORT.

echo '@@ data-modes'
stat --format '%a %U %n' /var/lib/etcd /var/lib/etcd/member
echo '@@ filter'
nft list table inet caravan_filter
echo '@@ server-certificate'
cat /etc/etcd/pki/server.crt
echo '@@ peer-certificate'
cat /etc/etcd/pki/peer.crt
# The proof that the peers' listeners serve those they should: every member's own pair, from its own address. Not over
# HTTP/2, which that port keeps for gRPC. A busy machine may need more than one try.
echo '@@ peer-answers'
for member in $MEMBERS; do
    code=$(curl --silent --output /dev/null --write-out '%{http_code}' --max-time $((3 * TIMES)) --http1.1 \
        --retry 3 --retry-delay 1 --retry-connrefused --retry-max-time $((9 * TIMES)) \
        --cacert /etc/etcd/pki/ca.crt --cert /etc/etcd/pki/peer.crt --key /etc/etcd/pki/peer.key "https://$member:$ETCD_PEER_PORT/version")
    echo "$member $code"
done
