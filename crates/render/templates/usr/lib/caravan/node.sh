# shellcheck shell=bash
# What masters and workers share: the API through the endpoint, and a node's way to Ready.

# What kubeadm is told of the cluster and this machine.
# shellcheck disable=SC2034
CONFIG=/etc/kubernetes/caravan/kubeadm-init.yaml
API=https://$CARAVAN_ENDPOINT
CA=/etc/kubernetes/pki/ca.crt
KUBELET_PAIR=/var/lib/kubelet/pki/kubelet-client-current.pem

start_runtime() {
    # Also started by its own enablement; this only makes sure, and does not wait.
    systemctl start --no-block containerd.service
    if [[ $CARAVAN_POD_NETWORK == flannel ]]; then
        # The path first: whatever comes after it is seen, and what came before is there for the service.
        systemctl start caravan-cni.path
        systemctl start --no-block caravan-cni.service
    fi
}

# The kubelet's certificate came with the machine; under this name the kubelet renews it by itself. kubeadm would make the
# same link after the kubelet has started, and start it again.
kubelet_certificate() {
    if [[ ! -e $KUBELET_PAIR ]]; then
        ln -sf kubelet-client-caravan.pem "$KUBELET_PAIR"
    fi
}

# Asks the API with the kubelet's own certificate, which may read this machine's Node and its pods.
kubelet_asks() {
    fetch --cacert "$CA" --cert "$KUBELET_PAIR" --key "$KUBELET_PAIR" "$API/api/v1/$1"
}

# True if the Node object $1 is Ready; says since when the kubelet has said so in READY_AT. Conditions come as
# {"type":"Ready","status":"True","lastHeartbeatTime":"...",...}, spread over lines or not.
ready() {
    local s='[[:space:]]*'
    local condition="\"type\":$s\"Ready\",$s\"status\":$s\"True\",$s\"lastHeartbeatTime\":$s\"([^\"]*)\""
    [[ $1 =~ $condition ]] && READY_AT=${BASH_REMATCH[1]}
}

# Prints when this machine started, as the API writes times. Told by how long its first process has run, because a clock
# may be set after the start.
started_at() {
    local now
    printf -v now '%(%s)T' -1
    date --utc --date "@$((now - $(ps -o etimes= -p 1)))" +%FT%TZ
}

# True if no time on standard input is before $1: the last string between quotes of each line. Times of one form and zone
# sort as text.
none_before() {
    local line time
    while read -r line; do
        time=${line%\"}
        time=${time##*\"}
        [[ ! $time < $1 ]] || return 1
    done
}

# After a restart the API still tells for up to forty seconds what the kubelet said before it. So this machine is ready
# only once the kubelet has said so since the start, $1, and of no pod still tells what ran before.
node_ready() {
    local node pods
    node=$(kubelet_asks "nodes/$CARAVAN_MACHINE") && ready "$node" && [[ ! $READY_AT < $1 ]] || return 1
    pods=$(kubelet_asks "pods?fieldSelector=spec.nodeName=$CARAVAN_MACHINE") || return 1
    tr -d ' \n' <<<"$pods" | { grep --only-matching '"running":{"startedAt":"[^"]*"' || true; } | none_before "$1"
}

# kube-proxy says so itself once it has written its rules, without which there are no services here.
services_ready() {
    answers 10256 /healthz
}

wait_node_ready() {
    begin node-ready
    # Each question costs the masters' time, which all nodes wait for.
    EVERY=$CARAVAN_ASK_EVERY await node-ready 600 "node $CARAVAN_MACHINE to be Ready" node_ready "$(started_at)"
    await node-ready 600 "kube-proxy to write its rules; more: journalctl -u kubelet" services_ready
    finish node-ready
}

# What the lab file sets of the cluster, as this machine was told. Its state has what of it is applied, `settings`, and what it
# is about to apply, `settings.taken`.
SETTINGS=/etc/caravan/settings
KUBELET_SETTINGS=/etc/kubernetes/kubelet.conf.d/30-lab.conf

# Notes that this machine is as its settings say, as after it was made from them.
note_settings() {
    cp "$KUBELET_SETTINGS" "$STATE/kubelet-settings"
    cp "$SETTINGS" "$STATE/settings.new"
    mv "$STATE/settings.new" "$STATE/settings"
}

# True where this machine was told other settings than it has applied. One that was made before there were any has none.
settings_differ() {
    [[ -e $STATE/settings ]] || echo '{}' >"$STATE/settings"
    ! cmp --silent "$SETTINGS" "$STATE/settings"
}

# True where this machine was told other settings than those that it is about to apply.
told_otherwise() {
    ! cmp --silent "$SETTINGS" "$STATE/settings.taken"
}

# True if "$@" is, or if there is no use in waiting for it, because this machine was told other settings meanwhile.
or_told_otherwise() {
    "$@" || told_otherwise
}

# Lets the kubelet read its configuration again where the lab file sets another one; its pods run on meanwhile.
apply_kubelet_settings() {
    cmp --silent "$KUBELET_SETTINGS" "$STATE/kubelet-settings" && return
    systemctl restart kubelet.service
    await settings 300 "the kubelet to run with its new settings; more: journalctl -u kubelet" \
        or_told_otherwise answers 10248 /healthz
    cp "$KUBELET_SETTINGS" "$STATE/kubelet-settings"
}

# Applies what is not applied yet, by the command "$@" and the kubelet. `cargo xtask up` tells one master after the other.
apply_settings() {
    while settings_differ; do
        begin settings "what the lab file sets of the cluster"
        cp "$SETTINGS" "$STATE/settings.taken"
        "$@"
        apply_kubelet_settings
        told_otherwise && continue
        mv "$STATE/settings.taken" "$STATE/settings"
        finish settings
    done
}

# After three failures in a row this node forgets what kubeadm made on it, and starts anew. What came with the machine
# (CAs, the certificates of the kubelet and of etcd's client) stays, and so does everything on other machines.
repair() {
    local count=0 file=$STATE/failures-$1
    [[ -e $file ]] && count=$(<"$file")
    count=$((count + 1))
    if ((count < 3)); then
        printf '%s' "$count" >"$file"
        return
    fi
    rm -f "$file"
    say "$1" wait "failed $count times: forgetting what kubeadm made on this machine"
    systemctl stop kubelet.service || true
    rm -rf /etc/kubernetes/manifests
    rm -f /etc/kubernetes/{admin,super-admin,bootstrap-kubelet,controller-manager,scheduler}.conf \
        /var/lib/kubelet/{config.yaml,instance-config.yaml,kubeadm-flags.env} \
        /etc/kubernetes/pki/{apiserver,apiserver-kubelet-client,front-proxy-client}.{crt,key}
    find /var/lib/kubelet/pki ! -type d ! -name 'kubelet-*-caravan.*' -delete || true
}
