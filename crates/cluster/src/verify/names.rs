//! Names of services: who answers when a machine is gone.

use std::collections::BTreeSet;

use super::context::{Context, told};
use super::findings::Findings;
use crate::kube::Pod;

/// CoreDNS's label `k8s-app`.
const DNS: &str = "kube-dns";

/// CoreDNS's replicas stand on two nodes.
pub(super) fn survive_one(context: &Context) -> Result<Findings, String> {
    let pods = context.api()?.pods("kube-system").map_err(told)?;
    Ok(judge_replicas(&pods))
}

fn judge_replicas(pods: &[Pod]) -> Findings {
    let mut findings = Findings::new();
    let mut nodes = BTreeSet::new();
    for pod in pods.iter().filter(|pod| pod.app == DNS) {
        match &pod.node {
            Some(node) if pod.ready => {
                nodes.insert(node.as_str());
                findings.right(&pod.name, format!("{} is ready on {node}", pod.name));
            }
            Some(node) => {
                findings.wrong(&pod.name, format!("{} on {node}: {}", pod.name, pod.state))
            }
            None => findings.wrong(
                &pod.name,
                format!("{} is on no node: {}", pod.name, pod.state),
            ),
        }
    }
    if nodes.len() < 2 {
        findings.wrong(
            DNS,
            format!(
                "names are answered on {} alone",
                nodes.first().unwrap_or(&"no node")
            ),
        );
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(app: &str, node: Option<&str>, ready: bool) -> Pod {
        Pod {
            name: format!("{app}-1"),
            uid: String::new(),
            node: node.map(ToOwned::to_owned),
            address: None,
            ready,
            state: "Running".to_owned(),
            app: app.to_owned(),
        }
    }

    #[test]
    fn two_nodes_answer() {
        let judge = |first: Option<&str>, second: Option<&str>, ready| {
            let pods = [
                pod(DNS, first, true),
                pod(DNS, second, ready),
                pod("kube-proxy", Some("c"), true),
            ];
            judge_replicas(&pods).holds()
        };
        assert!(judge(Some("a"), Some("b"), true));
        assert!(!judge(Some("a"), Some("a"), true));
        assert!(!judge(Some("a"), Some("b"), false));
        assert!(!judge(Some("a"), None, false));
        assert!(!judge_replicas(&[]).holds());
    }
}
