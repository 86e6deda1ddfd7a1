# shellcheck shell=bash
# On a master: serves etcd with the API servers' client certificate, on loopback, and lets real clients judge it.
# Everything is below one folder in /run that is gone afterwards, and so is the server, whatever happens.
# Set before this: TIMES (how many times as long as usual everything may take).

set -u
umask 077
pki=/etc/kubernetes/pki
folder=$(mktemp --directory /run/caravan-verify.XXXXXX) || exit 1
server=
# Told to end, `timeout` tells etcd, and is waited for so that etcd writes nothing more.
trap '[[ $server ]] && kill -TERM "$server" 2>/dev/null && wait "$server"; rm -rf "$folder"' EXIT
trap 'exit 1' TERM INT HUP

# Ports below those that outgoing connections get, and free.
port=$((20000 + RANDOM % 10000))
while ss --no-header --listening --tcp --numeric "( sport = :$port or sport = :$((port + 1)) )" | grep -q .; do
    port=$((port + 2))
done
url=https://127.0.0.1:$port

timeout --kill-after=2 "$((12 * TIMES))" etcd --name impostor --data-dir "$folder/data" --log-level error --unsafe-no-fsync \
    --listen-client-urls "$url" --advertise-client-urls "$url" \
    --listen-peer-urls "http://127.0.0.1:$((port + 1))" \
    --initial-advertise-peer-urls "http://127.0.0.1:$((port + 1))" \
    --initial-cluster "impostor=http://127.0.0.1:$((port + 1))" \
    --cert-file "$pki/apiserver-etcd-client.crt" --key-file "$pki/apiserver-etcd-client.key" \
    >"$folder/log" 2>&1 &
server=$!

# Alive is what answers a client that asks no questions about the certificate.
answered=no
for ((look = 0; look < 80 * TIMES; look++)); do
    if curl --silent --output /dev/null --max-time "$TIMES" --insecure "$url/version"; then
        answered=yes
        break
    fi
    kill -0 "$server" 2>/dev/null || break
    sleep 0.05
done
echo '@@ alive'
echo "$answered"
echo '@@ log'
tail -n 3 "$folder/log"
[[ $answered == yes ]] || exit 0

# careful SECONDS: what etcdctl says when it trusts etcd's CA; it tries again and again until its time is up.
careful() {
    etcdctl --endpoints "$url" --command-timeout "$1s" --cacert "$pki/etcd/ca.crt" get caravan \
        >/dev/null 2>"$folder/said"
}

echo '@@ etcdctl-careless'
etcdctl --endpoints "$url" --command-timeout "$((3 * TIMES))s" --insecure-skip-tls-verify --insecure-transport=false get caravan \
    >/dev/null 2>"$folder/said"
echo "$?"
tail -n 1 "$folder/said"
echo '@@ etcdctl'
careful "$TIMES"
status=$?
# A busy machine may not get as far as the certificate in a second.
if ((status != 0)) && ! grep -q 'x509: ' "$folder/said"; then
    careful $((4 * TIMES))
    status=$?
fi
echo "$status"
cat "$folder/said"
# Go compares names before purposes, and this certificate has no names. OpenSSL judges the purpose first.
echo '@@ curl'
curl --silent --show-error --output /dev/null --max-time $((3 * TIMES)) --cacert "$pki/etcd/ca.crt" "$url/version" 2>"$folder/said"
echo "$?"
cat "$folder/said"
echo '@@ still-alive'
curl --silent --output /dev/null --max-time "$TIMES" --insecure "$url/version" && echo yes
exit 0
