//! The control plane of a master as a whole: stopped while what it stands on is changed, started again, and what the cluster
//! says of itself put right.

use std::time::Duration;

use caravan_lab::{Lab, Machine};
use serde_json::Value;

use crate::kube::Api;
use crate::until;
use crate::{Access, Error, facts};

/// How long a script on a machine may take, at the usual pace.
const SCRIPT: Duration = Duration::from_secs(30);

/// How long an API server may take to end, or to be ready, at the usual pace. It waits for half a minute for who is served.
const LIMIT: Duration = Duration::from_secs(90);

/// How long kubeadm's phases may take at the usual pace.
const PHASES: Duration = Duration::from_secs(120);

/// How long a master may take to renew what kubeadm has made, at the usual pace: it waits until no other one is at it.
const RENEWAL: Duration = Duration::from_secs(1200);

/// Machines that were made before there was such a script get it by `halt` and `up`.
const RENEW_SCRIPT: &str = r#"
[[ -x /usr/lib/caravan/renew-certificates ]] || {
    echo "its files are of a version that does not renew certificates: halt and up deliver newer ones" >&2
    exit 1
}
"#;

/// What of a master's certificates is made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RenewalScope {
    /// What has less than a third of its life left.
    Due,
    /// All.
    All,
    /// Nothing; but whom it trusts is another one than when it was started, and it has to read that.
    Follow,
    /// All, of a cluster that lets nobody in any more, so that nobody is asked.
    Rescue,
}

impl RenewalScope {
    /// As the machine's script has it.
    const fn word(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::All => "all",
            Self::Follow => "follow",
            Self::Rescue => "rescue",
        }
    }
}

/// Takes the static pods of the control plane from the kubelet. All of them: the scheduler and the controller manager know
/// what will not be so any more.
const STOP: &str = r#"
set -eu
cd /etc/kubernetes
mkdir -p caravan/held
for pod in kube-apiserver kube-controller-manager kube-scheduler; do
    [ ! -e "manifests/$pod.yaml" ] || mv --force "manifests/$pod.yaml" caravan/held/
done
"#;

/// Ends an API server that lets nobody in any more, or that nobody is served by, and that would be waited for until half a
/// minute has gone: the next one of its name starts only then. Where etcd is stopped meanwhile, it waits for that.
const END: &str = "pkill -KILL -x kube-apiserver || true";

/// Gives them back. The kubelet is started again: it knows pods that are not so any more.
const START: &str = r#"
set -eu
cd /etc/kubernetes
for pod in kube-apiserver kube-controller-manager kube-scheduler; do
    [ ! -e "caravan/held/$pod.yaml" ] || mv --force "caravan/held/$pod.yaml" manifests/
done
systemctl restart kubelet.service
"#;

/// Says what a cluster says of itself anew, by the phases of kubeadm that write it. With the group system:masters, since who
/// the administrators are is a part of it.
const PUT_RIGHT: &str = r#"
set -eu
config=/etc/kubernetes/caravan/kubeadm-init.yaml
export HOME=/root
kubeadm init phase kubeconfig super-admin --config $config
kubeadm init phase upload-config all --config $config
kubeadm init phase bootstrap-token --config $config --skip-token-print
"#;

/// The same, of one master: its label and its taint, which a node that registers itself anew does not have.
const MARK: &str = r#"
set -eu
export HOME=/root
kubeadm init phase mark-control-plane --config /etc/kubernetes/caravan/kubeadm-init.yaml
"#;

/// The link that the kubelet reads, and moves when it has renewed its certificate.
const RESCUE_KUBELET: &str = r#"
set -eu
cd /var/lib/kubelet/pki
if ! openssl x509 -noout -checkend 0 -in kubelet-client-current.pem >/dev/null; then
    ln -sf kubelet-client-caravan.pem .current.new
    mv --force .current.new kubelet-client-current.pem
fi
# It makes that one itself, where there is none.
if [ -e kubelet.crt ] && ! openssl x509 -noout -checkend 0 -in kubelet.crt >/dev/null; then
    mv --force kubelet.crt kubelet.crt.ended
fi
systemctl reset-failed kubelet.service 2>/dev/null || true
systemctl restart kubelet.service
"#;

/// Stops the API server, the controller manager and the scheduler of a master, and waits until the first does not answer any
/// more; who was served until then still is. They stay so over a reboot. One that is stopped is no error.
///
/// # Errors
///
/// [`Error::NotInTime`], [`Error::Machine`], [`Error::Script`], [`Error::Credentials`].
pub fn stop(access: &Access, master: &Machine) -> Result<(), Error> {
    facts::ask(access, master, STOP, SCRIPT)?;
    wait_silent(access, master)
}

/// The same where etcd has no majority: nobody is served, and what the API server does before its end would wait for etcd, so
/// it is ended once the kubelet has heard that it is to run no more.
///
/// # Errors
///
/// As [`stop`].
pub fn stop_at_once(access: &Access, master: &Machine) -> Result<(), Error> {
    facts::ask(access, master, &format!("{STOP}sleep 1\n{END}\n"), SCRIPT)?;
    wait_silent(access, master)
}

fn wait_silent(access: &Access, master: &Machine) -> Result<(), Error> {
    let api = Api::master(master, access)?;
    let what = format!("the end of the API server of `{}`", master.name);
    until(access.pace().of(LIMIT), &what, || {
        Ok(matches!(
            api.status_of("/livez"),
            Err(Error::Unreachable { .. })
        ))
    })?;
    Ok(())
}

/// Ends an API server that [`stop`] has stopped, and that waits for etcd, which is stopped too.
///
/// # Errors
///
/// [`Error::Machine`], [`Error::Script`].
pub fn end(access: &Access, master: &Machine) -> Result<(), Error> {
    facts::ask(access, master, END, SCRIPT).map(drop)
}

/// Starts what [`stop`] has stopped, and the kubelet anew; it is not waited for. What runs stays so.
///
/// # Errors
///
/// [`Error::Machine`], [`Error::Script`].
pub fn start(access: &Access, master: &Machine) -> Result<(), Error> {
    facts::ask(access, master, START, SCRIPT).map(drop)
}

/// Waits until the API server of a master is ready.
///
/// # Errors
///
/// [`Error::NotInTime`], [`Error::Credentials`].
pub fn wait_ready(access: &Access, master: &Machine) -> Result<(), Error> {
    let api = Api::master(master, access)?;
    let what = format!("the API server of `{}` to be ready", master.name);
    until(access.pace().of(LIMIT), &what, || {
        api.text("/readyz")
            .map(|_| true)
            .map_err(|error| error.chain())
    })?;
    Ok(())
}

/// Has a master make anew what kubeadm has made there, and its control plane read it, as its own timer does: one master at a
/// time, and an API server ends only when load balancers send nobody there any more. Returns whether anything was made.
///
/// # Errors
///
/// [`Error::Machine`]; [`Error::Script`] with what it waited for in vain.
pub fn renew(access: &Access, master: &Machine, scope: RenewalScope) -> Result<bool, Error> {
    let script = format!(
        "{RENEW_SCRIPT}\nexec /usr/lib/caravan/renew-certificates {}",
        scope.word()
    );
    let said = facts::ask(access, master, &script, RENEWAL)?;
    Ok(said.get("renewed").is_some())
}

/// Stops the control plane of a master, starts it again, and waits until its API server is ready.
///
/// # Errors
///
/// As [`renew`].
pub fn restart(access: &Access, master: &Machine) -> Result<(), Error> {
    stop(access, master)?;
    start(access, master)?;
    wait_ready(access, master)
}

/// Gives the kubelet of a node the certificate that was brought to it, where its own has ended: it does not ask for another
/// one with that, and does not even start. One whose certificate has not ended keeps it. All are started anew.
///
/// # Errors
///
/// [`Error::Machine`], [`Error::Script`].
pub fn rescue_kubelet(access: &Access, node: &Machine) -> Result<(), Error> {
    facts::ask(access, node, RESCUE_KUBELET, SCRIPT).map(drop)
}

/// Starts the kubelet of a node anew, so that it asks for all that it should run.
///
/// # Errors
///
/// [`Error::Machine`], [`Error::Script`].
pub fn restart_kubelet(access: &Access, node: &Machine) -> Result<(), Error> {
    facts::ask(access, node, "systemctl restart kubelet.service", SCRIPT).map(drop)
}

/// Has `masters`, the first of them for all, write anew what the cluster says of itself, and waits until it is so: how it was
/// made (`kubeadm-config`), where it is and whom to trust (`cluster-info`, `kube-root-ca.crt`), which nodes are masters.
///
/// # Errors
///
/// [`Error::NotInTime`] with what is not so, [`Error::Machine`], [`Error::Script`], [`Error::Credentials`].
pub fn put_right(lab: &Lab, access: &Access, masters: &[&Machine]) -> Result<(), Error> {
    let api = Api::endpoint(lab, access)?;
    let limit = access.pace().of(PHASES);
    for master in masters {
        let what = format!("node `{}` to be registered", master.name);
        until(limit, &what, || {
            let path = format!("/api/v1/nodes/{}", master.name);
            api.get(&path).map(|_| true).map_err(|error| error.chain())
        })?;
    }
    if let Some(first) = masters.first() {
        facts::ask(access, first, PUT_RIGHT, PHASES)?;
    }
    for master in masters {
        facts::ask(access, master, MARK, PHASES)?;
    }
    until(limit, "the cluster to say whom to trust", || {
        said_wrong(lab, access, &api)
            .map(|wrong| match wrong {
                None => Ok(true),
                Some(wrong) => Err(wrong),
            })
            .map_err(|error| error.chain())?
    })?;
    Ok(())
}

/// What pods watch the cluster for all others, by their label `k8s-app`.
const WATCHERS: [&str; 2] = ["kube-proxy", "kube-dns"];

/// Has those pods made anew that tell all others of the cluster's services. After a time without an API they ask it again only
/// after up to a minute, and know nothing new until then.
///
/// # Errors
///
/// [`Error::Unreachable`], [`Error::Answered`], [`Error::Credentials`].
pub fn restart_watchers(lab: &Lab, access: &Access) -> Result<(), Error> {
    let api = Api::endpoint(lab, access)?;
    for app in WATCHERS {
        api.delete(&format!(
            "/api/v1/namespaces/kube-system/pods?labelSelector=k8s-app%3D{app}"
        ))?;
    }
    Ok(())
}

/// What the cluster says of itself that is not so.
fn said_wrong(lab: &Lab, access: &Access, api: &Api) -> Result<Option<String>, Error> {
    let config = |namespace: &str, name: &str| {
        api.get(&format!("/api/v1/namespaces/{namespace}/configmaps/{name}"))
    };
    // The controller manager writes it, into each namespace.
    let root = config("kube-system", "kube-root-ca.crt")?;
    let info = config("kube-public", "cluster-info")?;
    Ok(judge(
        &access.kubernetes_ca,
        &lab.api_endpoint().to_string(),
        &root,
        &info,
    ))
}

fn judge(ca: &str, endpoint: &str, root: &Value, info: &Value) -> Option<String> {
    use base64::Engine as _;
    let ca = ca.trim();
    let said = root["data"]["ca.crt"].as_str().unwrap_or_default();
    // While an authority's key changes, both are trusted, and masters name the one that signs.
    if said.trim().is_empty() || !ca.contains(said.trim()) {
        return Some("`kube-root-ca.crt` is of another certificate authority".to_owned());
    }
    let kubeconfig = info["data"]["kubeconfig"].as_str().unwrap_or_default();
    let field = |name: &str| {
        let mut lines = kubeconfig.lines();
        lines.find_map(|line| Some(line.trim().strip_prefix(name)?.trim()))
    };
    let told = field("certificate-authority-data:").and_then(|data| {
        let decoded = base64::engine::general_purpose::STANDARD
            .decode(data)
            .ok()?;
        String::from_utf8(decoded).ok()
    });
    if told.is_none_or(|told| told.trim().is_empty() || !ca.contains(told.trim())) {
        return Some("`cluster-info` is of another certificate authority".to_owned());
    }
    let server = field("server:").unwrap_or_default();
    (server != format!("https://{endpoint}"))
        .then(|| format!("`cluster-info` leads to {server}, and not to https://{endpoint}"))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_cluster_says_of_another_one_is_wrong() {
        let encoded = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        let root = |ca: &str| json!({ "data": { "ca.crt": ca } });
        let info = |ca: &str, server: &str| {
            let text = format!(
                "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: {}\n    server: {server}\n  name: \"\"\n",
                encoded(ca)
            );
            json!({ "data": { "kubeconfig": text } })
        };
        let (ours, here) = ("PEM OURS\n", "192.168.29.80:6443");
        let server = "https://192.168.29.80:6443";
        let judged = |root: &Value, info: &Value| judge(ours, here, root, info);
        assert_eq!(judged(&root("PEM OURS"), &info(ours, server)), None);
        let wrong = judged(&root("PEM OTHER"), &info(ours, server)).expect("another CA");
        assert!(wrong.contains("kube-root-ca.crt"), "{wrong}");
        let wrong = judged(&root(ours), &info("PEM OTHER", server)).expect("another CA");
        assert!(wrong.contains("cluster-info"), "{wrong}");
        let wrong = judged(&root(ours), &info(ours, "https://192.0.2.1:6443")).expect("elsewhere");
        assert!(wrong.contains("192.0.2.1"), "{wrong}");
        assert!(judged(&json!({}), &json!({})).is_some());
    }
}
