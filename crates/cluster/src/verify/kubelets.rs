//! Kubelets: whom they answer. They listen on every node's lab address, and no packet filter stands before them.

use std::net::SocketAddrV4;
use std::thread::sleep;

use caravan_lab::{Machine, Role, ports};
use ureq::Agent;

use super::context::Context;
use super::findings::Findings;
use super::refusals::{PAUSE, TRIES};
use crate::kube::Api;
use crate::{parallel, web};

/// What of a kubelet nobody may read without saying who they are: the pods of its node, with their environment.
const PODS: &str = "/pods";

/// Every kubelet answers an API server, and nobody without a certificate of the cluster's CA. Masters ask in turn, so that each
/// of them is seen to reach one.
pub(super) fn clients(context: &Context) -> Result<Findings, String> {
    let access = &context.access;
    let stranger = |pair| {
        web::trusting(pair, context.answer_limit(), &access.way).map_err(|error| error.to_string())
    };
    let strangers = [
        ("without a certificate", stranger(None)?),
        (
            "with a certificate of another CA",
            stranger(Some(&access.foreign.client))?,
        ),
    ];
    let masters: Vec<&Machine> = context.lab.of_role(Role::ControlPlane).collect();
    let nodes = context.nodes().enumerate();
    let asked: Vec<(&Machine, &Machine)> = nodes
        .map(|(place, node)| (node, masters[place % masters.len()]))
        .collect();
    let judged = parallel::each(asked, |(node, master)| {
        let served = served(context, node, master);
        let refused = strangers.iter().map(|(who, agent)| {
            let status = status(agent, node)?;
            judge(who, status)
        });
        let refused: Result<Vec<String>, String> = refused.collect();
        let seen = served.and_then(|served| Ok(format!("{served}, {}", refused?.join(", "))));
        let named = |text: String| format!("{}: {text}", node.name);
        (&node.name, seen.map(named).map_err(named))
    });
    Ok(judged.into_iter().collect())
}

/// An API server asks it, with the certificate that all API servers have for that.
fn served(context: &Context, node: &Machine, master: &Machine) -> Result<String, String> {
    let told = |error: crate::Error| {
        let why = error.chain();
        format!(
            "{}'s API server does not reach its kubelet: {why}",
            master.name
        )
    };
    let api = Api::master(master, &context.access).map_err(told)?;
    let path = format!("/api/v1/nodes/{}/proxy/healthz", node.name);
    let health = api.text(&path).map_err(told)?;
    Ok(format!("`{health}` to the API server of {}", master.name))
}

/// What it says to who asks it directly.
fn status(agent: &Agent, node: &Machine) -> Result<u16, String> {
    let at = SocketAddrV4::new(node.ip, ports::KUBELET);
    let mut tries = 0;
    loop {
        tries += 1;
        match agent.get(format!("https://{at}{PODS}")).call() {
            Ok(answer) => return Ok(answer.status().as_u16()),
            Err(error) if tries == TRIES => {
                return Err(format!(
                    "nothing is proved, because {at} did not answer: {error}"
                ));
            }
            Err(_) => sleep(PAUSE),
        }
    }
}

fn judge(who: &str, status: u16) -> Result<String, String> {
    match status {
        401 | 403 => Ok(format!("status {status} {who}")),
        _ => Err(format!("not refused: status {status} {who}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_a_word_of_the_kubelet() {
        for refused in [401, 403] {
            assert!(judge("without a certificate", refused).is_ok());
        }
        // That there is nothing, or that something is broken, refuses nobody.
        for served in [200, 301, 404, 500] {
            let said = judge("without a certificate", served).expect_err("served");
            assert_eq!(
                said,
                format!("not refused: status {served} without a certificate")
            );
        }
    }
}
