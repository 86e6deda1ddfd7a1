# shellcheck shell=bash
# What masters are asked too.

echo '@@ apiserver-etcd-client'
cat /etc/kubernetes/pki/apiserver-etcd-client.crt
echo '@@ api-server-etcd-flags'
for process in /proc/[0-9]*; do
    read -r name <"$process/comm" && [[ $name == kube-apiserver ]] && tr '\0' '\n' <"$process/cmdline" | grep '^--etcd-'
done 2>/dev/null
echo '@@ control-plane-flags'
for program in kube-apiserver kube-controller-manager kube-scheduler; do
    process=$(pgrep --oldest --full "^$program ") && tr '\0' '\n' <"/proc/$process/cmdline" | sed "s/^/$program /"
done
echo '@@ processes'
cat /proc/[0-9]*/comm 2>/dev/null | sort -u
echo '@@ etcd-state'
find /var/lib/etcd -mindepth 1 2>/dev/null | head -5
ls /etc/kubernetes/manifests/etcd.yaml /etc/systemd/system/etcd.service /etc/kubernetes/pki/etcd/*.key 2>/dev/null
