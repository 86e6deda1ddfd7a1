//! The images that a machine came with are still there: without a network nobody can pull them again, and a node that
//! lacks one looks healthy until the next pod starts there.

use caravan_lab::Machine;

use super::context::Context;
use super::findings::Findings;
use crate::facts::Facts;

/// Every node's list of images against the list that its machine image came with.
pub(super) fn hold(context: &Context) -> Result<Findings, String> {
    Ok(context.judge_surveys(context.nodes(), judge))
}

fn judge(machine: &Machine, facts: &Facts) -> Result<String, String> {
    let name = &machine.name;
    let wanted = facts.get("preloaded-images").unwrap_or_default();
    let there = facts.get("images").unwrap_or_default();
    if wanted.is_empty() {
        return Ok(format!(
            "{name}: its machine image has no list of preloaded images"
        ));
    }
    if there.is_empty() {
        return Err(format!("{name}: containerd tells of no image"));
    }
    let lacking: Vec<&str> = wanted
        .iter()
        .filter(|image| !there.contains(image))
        .map(String::as_str)
        .collect();
    if lacking.is_empty() {
        return Ok(format!("{name}: all {} images", wanted.len()));
    }
    Err(format!(
        "{name} lacks {}; made anew, it has all of them (`destroy LAB {name}`, then `up LAB`)",
        lacking.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::super::tests::lab;
    use super::*;

    #[test]
    fn a_lost_image_is_named() {
        let lab = lab("ha");
        let machine = lab.machine("workerone").expect("there");
        let check = |wanted: &[&str], there: &[&str]| {
            let text = format!(
                "@@ preloaded-images\n{}\n@@ images\n{}\n@@ end\n",
                wanted.join("\n"),
                there.join("\n")
            );
            judge(machine, &Facts::parse(&text))
        };
        let (dns, probe) = (
            "registry.k8s.io/coredns/coredns:v1",
            "caravan.local/probe:1",
        );
        let all = check(
            &[dns, probe],
            &[probe, "sha256:0123", dns, "example.com/own:1"],
        );
        assert_eq!(all, Ok("workerone: all 2 images".to_owned()));
        let lost = check(&[dns, probe], &[probe, "sha256:0123"]).expect_err("one is lost");
        assert!(
            lost.starts_with(&format!("workerone lacks {dns}; ")),
            "{lost}"
        );
        assert!(!lost.contains(probe), "{lost}");
        assert!(check(&[dns], &[]).is_err(), "containerd does not answer");
        assert!(check(&[], &[dns]).is_ok(), "a box of the user's own");
    }
}
