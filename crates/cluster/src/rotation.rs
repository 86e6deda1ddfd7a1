//! What the change of an authority's key needs of machines: that servers which read it only once are started anew, and that
//! each is asked, over a connection made for that, whom it lets in and what it shows.

use std::net::SocketAddrV4;
use std::time::Duration;

use caravan_lab::{Lab, Machine, Role, ports};

use crate::attempt::{Attempt, Client, End};
use crate::kube::Api;
use crate::{Access, Error, Pair, facts, until};

/// How long a server may take to be started anew, at the usual pace.
const RESTART: Duration = Duration::from_secs(120);

/// How long all add-ons may take to be started anew, at the usual pace.
const ROLLOUT: Duration = Duration::from_secs(240);

/// How long a server may take to answer, at the usual pace.
const LIMIT: Duration = Duration::from_secs(10);

/// Has a kubelet use the certificate that came last with its machine's files, and not one that it has renewed.
const RELINK_KUBELET: &str = r"
set -eu
ln --symbolic --force --no-dereference kubelet-client-caravan.pem /var/lib/kubelet/pki/kubelet-client-current.pem
systemctl restart kubelet.service
";

/// Says whether the controller manager's static pod names the file that is there to sign with.
const SIGNS_APART: &str = r"
echo '@@ signs'
! grep --quiet '=/etc/kubernetes/pki/ca-signer.crt$' /etc/kubernetes/manifests/kube-controller-manager.yaml || echo apart
";

/// Starts the pods of the cluster's own add-ons anew, one after the other of each: some read whom to trust once.
const RESTART_ADD_ONS: &str = r#"
set -eu
export KUBECONFIG=/etc/kubernetes/admin.conf
for space in kube-system kube-flannel calico-system calico-apiserver tigera-operator; do
    kubectl --namespace $space get daemonsets,deployments --output name 2>/dev/null | while read -r one; do
        kubectl --namespace $space rollout restart "$one"
    done
done
for space in kube-system kube-flannel calico-system calico-apiserver tigera-operator; do
    kubectl --namespace $space get daemonsets,deployments --output name 2>/dev/null | while read -r one; do
        kubectl --namespace $space rollout status --timeout 120s "$one"
    done
done
"#;

/// Says when the program called `$program` has begun and when the file `$file` was last changed in any way, both in seconds:
/// files that are brought have the time of no day.
const READ_SINCE: &str = r#"
set -eu
echo '@@ begun'
pid=$(pgrep "$which" --exact "$program" || true)
if [ ! "$pid" ]; then echo never; exit 0; fi
ticks=$(cut --delimiter ')' --fields 2- "/proc/$pid/stat" | cut --delimiter ' ' --fields 21)
booted=$(sed --quiet 's/^btime //p' /proc/stat)
echo $((booted + ticks / $(getconf CLK_TCK)))
echo '@@ written'
stat --dereference --format %Z "$file"
"#;

/// Which process of a program has read its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// The only one, or the one that has started all others.
    Oldest,
    /// The one that was started last, to take the place of others.
    Newest,
}

/// What came of a connection to a server with a client's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reception {
    /// It knows who the client is.
    LetIn,
    /// It does not trust who has signed the client's certificate.
    Refused,
}

/// Whom a server lets in, and what it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAnswer {
    /// The certificate that it shows, DER.
    pub shown: Vec<u8>,
    /// What became of the client.
    pub reception: Reception,
}

/// Starts etcd on `machine` anew, and waits until it has joined the others. It is asked to end, so it hands over what it has.
///
/// # Errors
///
/// [`Error::Machine`], [`Error::Script`].
pub fn restart_member(access: &Access, machine: &Machine) -> Result<(), Error> {
    facts::ask(access, machine, "systemctl restart etcd.service", RESTART).map(drop)
}

/// Whether the program called `program` on `machine`, which reads `file` when it begins, has read what the file says now.
///
/// # Errors
///
/// [`Error::Machine`], [`Error::Script`].
pub fn has_read(
    access: &Access,
    machine: &Machine,
    program: &str,
    reader: Reader,
    file: &str,
) -> Result<bool, Error> {
    let which = match reader {
        Reader::Oldest => "--oldest",
        Reader::Newest => "--newest",
    };
    // The kernel knows no more than so much of a program's name.
    let program: String = program.chars().take(15).collect();
    let script = format!("program='{program}' which='{which}' file='{file}'\n{READ_SINCE}");
    let said = facts::ask(access, machine, &script, LIMIT)?;
    let number = |section: &str| said.text(section).parse::<i64>().ok();
    Ok(match (number("begun"), number("written")) {
        // What began in the same second may have read what was there before.
        (Some(begun), Some(written)) => begun > written,
        // One that does not run reads it when it does.
        _ => said.text("begun") == "never",
    })
}

/// Whether the controller manager of `master` signs with a file of its own, and not with the one that it trusts by: it refuses
/// two certificates there.
///
/// # Errors
///
/// [`Error::Machine`], [`Error::Script`].
pub fn signs_apart(access: &Access, master: &Machine) -> Result<bool, Error> {
    let said = facts::ask(access, master, SIGNS_APART, LIMIT)?;
    Ok(said.text("signs") == "apart")
}

/// Has the kubelet of `node` show the certificate that came last with its machine's files.
///
/// # Errors
///
/// [`Error::Machine`], [`Error::Script`].
pub fn relink_kubelet(access: &Access, node: &Machine) -> Result<(), Error> {
    facts::ask(access, node, RELINK_KUBELET, RESTART).map(drop)
}

/// Has the load balancer on `machine` read its files again, while connections go on.
///
/// # Errors
///
/// [`Error::Machine`], [`Error::Script`].
pub fn reload_balancer(access: &Access, machine: &Machine) -> Result<(), Error> {
    facts::ask(access, machine, "systemctl reload haproxy.service", RESTART).map(drop)
}

/// Starts the pods of the cluster's own add-ons anew, as their update strategies have it, and waits for them.
///
/// # Errors
///
/// [`Error::Machine`], [`Error::Script`].
pub fn restart_add_ons(access: &Access, master: &Machine) -> Result<(), Error> {
    facts::ask(access, master, RESTART_ADD_ONS, ROLLOUT).map(drop)
}

/// Waits until pods are told to trust `ca` (PEM) and nobody else.
///
/// # Errors
///
/// [`Error::NotInTime`], [`Error::Credentials`].
pub fn wait_told_to_pods(lab: &Lab, access: &Access, ca: &str) -> Result<(), Error> {
    let api = Api::endpoint(lab, access)?;
    let what = "the controller manager to tell pods whom to trust";
    until(access.pace().of(RESTART), what, || {
        let told = api.get("/api/v1/namespaces/kube-system/configmaps/kube-root-ca.crt");
        let told = told.map_err(|error| error.chain())?;
        Ok(told["data"]["ca.crt"].as_str().unwrap_or_default().trim() == ca.trim())
    })
    .map(drop)
}

/// Dials the server of `machine` anew, as the client that has `pair` and trusts `ca` (PEM), and asks what needs no rights but
/// a name. `speaks_for` is the user that the client says it speaks for, as API servers do to each other.
///
/// # Errors
///
/// [`Error::NotShown`] where there is no answer that tells, [`Error::Credentials`].
pub fn dial(
    access: &Access,
    machine: &Machine,
    ca: &str,
    pair: &Pair,
    speaks_for: Option<&str>,
) -> Result<ServerAnswer, Error> {
    let (port, path) = match machine.role {
        Role::Etcd => (ports::ETCD_CLIENT, "/version"),
        // Everybody who has a name may know which versions there are; nobody else may.
        _ => (ports::API, "/apis"),
    };
    let at = SocketAddrV4::new(machine.ip, port);
    let mut client = Client::new(ca, Some(pair))?.with_limit(access.pace().of(LIMIT));
    if let Some(user) = speaks_for {
        client = client.with_header("X-Remote-User", user);
    }
    let attempt = client.by(&access.way).get(at, path);
    read(attempt).map_err(|why| Error::NotShown {
        machine: machine.name.clone(),
        at,
        why,
    })
}

/// What became of the client of an attempt; `None` where that is not told.
pub(crate) fn reception(attempt: &Attempt) -> Option<Reception> {
    match &attempt.end {
        End::Answered { status: 200, .. } => Some(Reception::LetIn),
        End::Answered { status: 401, .. } => Some(Reception::Refused),
        _ if attempt.is_refusal() => Some(Reception::Refused),
        _ => None,
    }
}

fn read(attempt: Attempt) -> Result<ServerAnswer, String> {
    let reception = reception(&attempt);
    match (attempt.shown, reception) {
        (Some(shown), Some(reception)) => Ok(ServerAnswer { shown, reception }),
        _ => Err(attempt.end.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(end: End, trusted: bool) -> Attempt {
        Attempt {
            shown: Some(vec![1]),
            trusted,
            end,
        }
    }

    fn answered(status: u16) -> End {
        End::Answered {
            status,
            body: String::new(),
        }
    }

    #[test]
    fn a_server_that_does_not_tell_is_neither() {
        let read_as = |end, trusted| read(attempt(end, trusted)).map(|it| it.reception);
        assert_eq!(read_as(answered(200), true), Ok(Reception::LetIn));
        assert_eq!(read_as(answered(401), true), Ok(Reception::Refused));
        let alert = || End::Alert("UnknownCA".to_owned());
        assert_eq!(read_as(alert(), true), Ok(Reception::Refused));
        // Who does not trust the server cannot know who has refused.
        assert!(read_as(alert(), false).is_err());
        assert!(read_as(answered(503), true).is_err());
        assert!(read_as(answered(403), true).is_err());
        assert!(read_as(End::Silent, true).is_err());
        let without = Attempt {
            shown: None,
            ..attempt(answered(200), true)
        };
        assert!(read(without).is_err());
    }
}
