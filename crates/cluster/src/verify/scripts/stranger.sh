# shellcheck shell=bash
# What machines are asked too that have no business with etcd: workers and load balancers.
# Set before this: ALL_MEMBERS (addresses of all etcd members), ETCD_PORT (for clients).

# Every certificate on the machine, those inside kubeconfigs too. Certificates are no secrets; keys are not printed.
echo '@@ certificates'
places=(/etc/kubernetes /etc/caravan /etc/etcd /etc/haproxy /etc/keepalived /var/lib/kubelet /var/lib/caravan /root /home)
grep -rlsI 'BEGIN CERTIFICATE' "${places[@]}" 2>/dev/null | sort | while read -r file; do
    sed -n '/-----BEGIN CERTIFICATE-----/,/-----END CERTIFICATE-----/p' "$file"
    echo
done
grep -rhsIE 'certificate(-authority)?-data: ' "${places[@]}" 2>/dev/null | while read -r _ data; do
    base64 --decode <<<"$data"
    echo
done

# With everything that the machine has: the kubelet's certificate, where there is one.
echo '@@ etcd-requests'
pair=/var/lib/kubelet/pki/kubelet-client-current.pem
identity=()
[[ -e $pair ]] && identity=(--cert "$pair" --key "$pair")
for member in $ALL_MEMBERS; do
    code=$(curl --silent --output /dev/null --write-out '%{http_code}' --max-time $((2 * TIMES)) --insecure "${identity[@]}" \
        "https://$member:$ETCD_PORT/version") && status=0 || status=$?
    echo "$member $status $code"
done
