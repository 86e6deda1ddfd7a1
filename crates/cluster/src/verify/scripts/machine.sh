# shellcheck shell=bash
# What every machine is asked, as root, in one ssh connection. Sections begin with `@@ name`; nothing secret is printed:
# secrets are named by file and counted.
# Set before this: MEMBERS (addresses of the other etcd members), OUTSIDE (an address that no lab has), SECRET_PLACES,
# ETCD_PORTS (what etcd machines listen on), TIMES (how many times as long as usual everything may take).

as_nobody() {
    setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
}

# dial ADDRESS PORT [SECONDS]: one line, `ADDRESS PORT open` or `ADDRESS PORT shut WHY`. Connects and says nothing.
dial() {
    local said
    # shellcheck disable=SC2016
    if said=$(timeout "$((${3:-2} * TIMES))" bash -c ': <>"/dev/tcp/$0/$1"' "$1" "$2" 2>&1); then
        echo "$1 $2 open"
    else
        echo "$1 $2 shut ${said##*: }"
    fi
}

# Files below $SECRET_PLACES that hold a private key, a kubeconfig's key, a join token or a service account's token.
secret_files() {
    # shellcheck disable=SC2086
    "$@" grep -rlsIE -e 'PRIVATE KEY-----' -e 'client-key-data: *[A-Za-z0-9+/]' -e 'eyJhbGciOi' \
        -e '(^|[^a-z0-9.])[a-z0-9]{6}\.[a-z0-9]{16}([^a-z0-9.]|$)' \
        -e '^ETCD_INITIAL_CLUSTER_TOKEN=' $SECRET_PLACES 2>/dev/null
}

first_of() {
    local file
    for file in "$@"; do
        if [[ -r $file ]]; then
            cat "$file"
            return
        fi
    done
}

echo '@@ addresses'
ip -4 -oneline address show
echo '@@ default-routes'
ip -4 route show default
ip -6 route show default 2>/dev/null
echo '@@ way-out'
ip -4 route get "$OUTSIDE" 2>&1
echo '@@ airgap-filter'
nft list table inet caravan_airgap 2>/dev/null

echo '@@ authorized-keys'
cat /home/vagrant/.ssh/authorized_keys /root/.ssh/authorized_keys 2>/dev/null
echo '@@ lab-key'
cat /etc/caravan/authorized_keys
echo '@@ published-keys'
cat /usr/lib/caravan-image/vagrant.pub 2>/dev/null

echo '@@ secrets'
secret_files env | sort -u | wc -l
# Something for nobody to find, so that finding nothing else means something.
bait=$(mktemp /tmp/caravan-verify.XXXXXX)
printf -- '-----BEGIN %s KEY-----\nnot a key\n' PRIVATE >"$bait"
chmod 0644 "$bait"
echo '@@ bait'
echo "$bait"
echo '@@ readable-secrets'
secret_files as_nobody | sort -u
rm -f "$bait"
echo '@@ secrets-in-arguments'
# Each argument is a line to grep.
grep --files-with-matches --null-data --extended-regexp -e '(^|=)[a-z0-9]{6}\.[a-z0-9]{16}$' \
    -e 'BEGIN [A-Z ]*PRIVATE KEY' /proc/[0-9]*/cmdline 2>/dev/null | while read -r arguments; do
    cat "${arguments%/*}/comm"
done 2>/dev/null | sort -u

echo '@@ virtualization'
systemd-detect-virt --container
echo '@@ hypervisor'
systemd-detect-virt --vm
echo '@@ memory-limit'
first_of /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes
echo '@@ cpu-limit'
if [[ -r /sys/fs/cgroup/cpu.max ]]; then
    cat /sys/fs/cgroup/cpu.max
else
    echo "$(first_of /sys/fs/cgroup/cpu/cpu.cfs_quota_us) $(first_of /sys/fs/cgroup/cpu/cpu.cfs_period_us)"
fi
echo '@@ memory-total-kib'
sed -n 's/^MemTotal: *\([0-9]*\) .*/\1/p' /proc/meminfo
echo '@@ processors'
nproc --all

echo '@@ etcd-ports'
for member in $MEMBERS; do
    for port in $ETCD_PORTS; do
        dial "$member" "$port" &
    done
done
wait
