//! The endpoint: the one way to the API, and what is written through it.

use std::net::SocketAddrV4;

use caravan_lab::{Machine, Role};
use serde_json::json;

use super::context::{Context, told};
use super::etcd_cluster;
use super::findings::Findings;
use crate::facts::Facts;
use crate::kube::Api;
use crate::parallel;

/// Programs that must use the endpoint wherever they run. Controller manager and scheduler talk to their own master by
/// kubeadm's design, and kubectl to whatever its user names.
const THROUGH_ENDPOINT: [&str; 2] = ["kubelet", "kube-proxy"];

/// What kubeadm, kube-proxy and joining machines are told.
pub(super) fn published(context: &Context) -> Result<Findings, String> {
    let api = context.api()?;
    let told_of = |namespace: &str, name: &str, key: &str, field: &str| {
        let path = format!("/api/v1/namespaces/{namespace}/configmaps/{name}");
        let text = api.get(&path).map_err(told)?["data"][key]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        Ok(field_of(&text, field))
    };
    let endpoint = context.lab.api_endpoint().to_string();
    let url = format!("https://{endpoint}");
    let asked = [
        (
            "kube-system",
            "kubeadm-config",
            "ClusterConfiguration",
            "controlPlaneEndpoint",
            &endpoint,
        ),
        (
            "kube-system",
            "kube-proxy",
            "kubeconfig.conf",
            "server",
            &url,
        ),
        ("kube-public", "cluster-info", "kubeconfig", "server", &url),
    ];
    Ok(asked
        .into_iter()
        .map(|(namespace, name, key, field, wanted)| {
            let found: Result<Option<String>, String> = told_of(namespace, name, key, field);
            let judged = found.and_then(|found| {
                judge_published(&format!("{name}'s {field}"), found.as_deref(), wanted)
            });
            (name, judged)
        })
        .collect())
}

/// The value of the first line `field: value` of a YAML text.
fn field_of(yaml: &str, field: &str) -> Option<String> {
    yaml.lines().find_map(|line| {
        let value = line.trim().strip_prefix(field)?.strip_prefix(':')?;
        Some(value.trim().trim_matches(['"', '\'']).to_owned())
    })
}

fn judge_published(what: &str, found: Option<&str>, wanted: &str) -> Result<String, String> {
    match found {
        Some(found) if found == wanted => Ok(format!("{what} is {found}")),
        Some(found) => Err(format!("{what} is {found} instead of {wanted}")),
        None => Err(format!("{what} is missing")),
    }
}

/// Kubelets and kube-proxies know the endpoint, and have connections to nothing else.
pub(super) fn only_way(context: &Context) -> Result<Findings, String> {
    let endpoint = context.lab.api_endpoint();
    Ok(context.gather_surveys(context.nodes(), |machine, facts| {
        judge_only_way(machine, endpoint, facts)
    }))
}

fn judge_only_way(machine: &Machine, endpoint: SocketAddrV4, facts: &Facts) -> Findings {
    let mut findings = Findings::new();
    let name = &machine.name;
    let url = format!("https://{endpoint}");
    // /etc/kubernetes/kubelet.conf:server: https://192.168.29.80:6443
    let server = facts
        .get("kubeconfig-servers")
        .unwrap_or_default()
        .iter()
        .find_map(|line| line.strip_prefix("/etc/kubernetes/kubelet.conf:server: "));
    findings.add(
        name,
        judge_published(&format!("{name}'s kubelet.conf server"), server, &url),
    );
    let mut count = 0;
    for line in facts.get("api-sockets").unwrap_or_default() {
        let Some((peer, program)) = socket(line) else {
            findings.wrong(name, format!("{name}: `{line}` cannot be read"));
            continue;
        };
        // On a worker nobody has business with a master directly.
        let bound = THROUGH_ENDPOINT.contains(&program) || machine.role == Role::Worker;
        if !bound {
            continue;
        }
        if peer == endpoint.to_string() {
            count += 1;
        } else {
            findings.wrong(name, format!("{program} on {name} is connected to {peer}"));
        }
    }
    if count == 0 {
        findings.wrong(name, format!("{name} has no connection to {endpoint}"));
    } else {
        findings.right(
            name,
            format!("{name} has {count} connections, all to {endpoint}"),
        );
    }
    findings
}

/// The peer and the program of a line of `ss --processes`:
/// `0  0  192.168.29.71:41234  192.168.29.80:6443  users:(("kubelet",pid=1,fd=9))`.
fn socket(line: &str) -> Option<(&str, &str)> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let users = words.iter().position(|word| word.starts_with("users:"));
    let peer = words.get(users.unwrap_or(words.len()).checked_sub(1)?)?;
    // A connection that the kernel has and no process any more.
    let program = users.and_then(|at| words[at].split('"').nth(1));
    Some((peer, program.unwrap_or("no program")))
}

/// A write through the endpoint is read on every master.
pub(super) fn write_through(context: &Context) -> Result<Findings, String> {
    written(context).map_err(|why| match etcd_cluster::alarms(context) {
        alarms if alarms.is_empty() => why,
        alarms => format!("{}: {why}", alarms.join("; ")),
    })
}

fn written(context: &Context) -> Result<Findings, String> {
    let maps = format!("{}/configmaps", context.space()?.path());
    let api = context.api()?;
    let word = format!("{:?}", std::time::SystemTime::now());
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "generateName": "write-" },
        "data": { "word": word },
    });
    let made = api.create(&maps, &map).map_err(told)?;
    let name = made["metadata"]["name"].as_str().unwrap_or_default();
    let path = format!("{maps}/{name}");
    let masters: Vec<&Machine> = context.lab.of_role(Role::ControlPlane).collect();
    let read = parallel::each(masters, |master| {
        let found = Api::master(master, &context.access).and_then(|api| api.get(&path));
        let judged = match found {
            Ok(found) => judge_read(&master.name, found["data"]["word"].as_str(), &word),
            Err(error) => Err(format!("{}: {}", master.name, error.chain())),
        };
        (&master.name, judged)
    });
    Ok(read.into_iter().collect())
}

fn judge_read(master: &str, found: Option<&str>, written: &str) -> Result<String, String> {
    match found {
        Some(found) if found == written => Ok(format!("{master} has what the endpoint took")),
        other => Err(format!(
            "{master} has {other:?} instead of what the endpoint took"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::lab;
    use super::*;

    #[test]
    fn fields() {
        let yaml = "apiServer: {}\ncontrolPlaneEndpoint: 192.168.29.80:6443\nclusters:\n- cluster:\n    server: \"https://a:1\"\n";
        assert_eq!(
            field_of(yaml, "controlPlaneEndpoint").as_deref(),
            Some("192.168.29.80:6443")
        );
        assert_eq!(field_of(yaml, "server").as_deref(), Some("https://a:1"));
        assert_eq!(field_of(yaml, "control"), None);
        assert!(judge_published("x", Some("a"), "a").is_ok());
        assert!(judge_published("x", Some("b"), "a").is_err());
        assert!(judge_published("x", None, "a").is_err());
    }

    #[test]
    fn the_only_way() {
        let lab = lab("ha");
        let judge = |machine: &str, text: &str| {
            let machine = lab.machine(machine).expect("there");
            judge_only_way(machine, lab.api_endpoint(), &Facts::parse(text)).holds()
        };
        let good = "@@ kubeconfig-servers\n/etc/kubernetes/admin.conf:server: https://192.168.29.80:6443\n/etc/kubernetes/kubelet.conf:server: https://192.168.29.80:6443\n@@ api-sockets\n0      0      192.168.29.71:41234   192.168.29.80:6443 users:((\"kubelet\",pid=11,fd=9))\n0      0      192.168.29.71:41236   192.168.29.80:6443 users:((\"kube-proxy\",pid=12,fd=7))\n";
        assert!(judge("workerone", good));
        assert!(judge("masterone", good));
        let direct = good.replace(
            "29.80:6443 users:((\"kube-proxy\"",
            "29.51:6443 users:((\"kube-proxy\"",
        );
        assert_ne!(direct, good);
        assert!(!judge("workerone", &direct));
        assert!(!judge("masterone", &direct));
        let own = format!(
            "{good}0 0 192.168.29.51:40000 192.168.29.51:6443 users:((\"kube-scheduler\",pid=3,fd=4))\n"
        );
        assert!(
            judge("masterone", &own),
            "a master's scheduler uses its own API server"
        );
        assert!(!judge("workerone", &own));
        assert!(!judge(
            "workerone",
            &good.replace(
                "kubelet.conf:server: https://192.168.29.80",
                "kubelet.conf:server: https://192.168.29.51"
            )
        ));
        assert!(!judge(
            "workerone",
            good.split("@@ api-sockets").next().expect("text")
        ));
        assert!(!judge("workerone", ""));
    }

    #[test]
    fn sockets() {
        assert_eq!(
            socket("0 0 10.0.0.1:1 10.0.0.2:6443 users:((\"kubelet\",pid=1,fd=2))"),
            Some(("10.0.0.2:6443", "kubelet"))
        );
        assert_eq!(
            socket("0 0 10.0.0.1:1 10.0.0.2:6443"),
            Some(("10.0.0.2:6443", "no program"))
        );
        assert_eq!(socket(""), None);
    }

    #[test]
    fn what_was_written_is_read() {
        assert!(judge_read("masterone", Some("a"), "a").is_ok());
        assert!(judge_read("masterone", Some("b"), "a").is_err());
        assert!(judge_read("masterone", None, "a").is_err());
    }
}
