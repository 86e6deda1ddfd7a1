//! What differs between two versions of a lab: the one its machines were made from, and the one in its file.

use caravan_lab::{Lab, Machine};

/// What `now` says otherwise than `then`, one sentence per difference; empty where both make the same machines.
///
/// Comments and the order of things do not count.
pub(crate) fn between(then: &Lab, now: &Lab) -> Vec<String> {
    let mut changes = Vec::new();
    let mut fact = |name: &str, then: String, now: String| {
        if then != now {
            changes.push(format!("`{name}` was `{then}` and is `{now}`"));
        }
    };
    fact("domain", then.domain().into(), now.domain().into());
    fact(
        "kubernetes",
        then.kubernetes().to_string(),
        now.kubernetes().to_string(),
    );
    fact("vip", address(then), address(now));
    fact(
        "subnet",
        then.subnet().to_string(),
        now.subnet().to_string(),
    );
    fact(
        "pod_cidr",
        then.pod_cidr().to_string(),
        now.pod_cidr().to_string(),
    );
    fact(
        "service_cidr",
        then.service_cidr().to_string(),
        now.service_cidr().to_string(),
    );
    fact(
        "pod_network",
        then.pod_network().to_string(),
        now.pod_network().to_string(),
    );
    fact(
        "virtual_router_id",
        then.virtual_router_id().to_string(),
        now.virtual_router_id().to_string(),
    );
    fact(
        "operators",
        format!("{:?}", then.operators()),
        format!("{:?}", now.operators()),
    );
    for machine in now.machines() {
        match then.machine(&machine.name) {
            None => changes.push(format!("machine `{}` is new", machine.name)),
            Some(before) if before != machine => changes.push(machine_change(before, machine)),
            Some(_) => {}
        }
    }
    for machine in then.machines() {
        if now.machine(&machine.name).is_none() {
            changes.push(format!("machine `{}` is gone", machine.name));
        }
    }
    changes
}

fn address(lab: &Lab) -> String {
    lab.vip().map_or("absent".to_owned(), |vip| vip.to_string())
}

fn machine_change(then: &Machine, now: &Machine) -> String {
    let facts = [
        ("role", then.role.to_string(), now.role.to_string()),
        ("server", then.server.clone(), now.server.clone()),
        ("ip", then.ip.to_string(), now.ip.to_string()),
        (
            "memory_mib",
            then.memory_mib.to_string(),
            now.memory_mib.to_string(),
        ),
        ("cpus", then.cpus.to_string(), now.cpus.to_string()),
    ];
    let changed: Vec<String> = facts
        .into_iter()
        .filter(|(_, then, now)| then != now)
        .map(|(name, then, now)| format!("`{name}` was `{then}` and is `{now}`"))
        .collect();
    format!("machine `{}`: {}", now.name, changed.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HA: &str = include_str!("../../../labs/ha.toml");

    fn changes(edit: impl Fn(&str) -> String) -> Vec<String> {
        let then = Lab::parse("ha", HA).expect("valid");
        let now = Lab::parse("ha", &edit(HA)).expect("valid");
        between(&then, &now)
    }

    #[test]
    fn comments_do_not_count() {
        assert_eq!(changes(|text| format!("# more\n{text}")), [""; 0]);
    }

    #[test]
    fn what_counts_is_named() {
        assert_eq!(
            changes(|text| text.replace("192.168.29.71", "192.168.29.72")),
            ["machine `workerone`: `ip` was `192.168.29.71` and is `192.168.29.72`"]
        );
        assert_eq!(
            changes(|text| text.replace("29.80\"", "29.90\"")),
            [
                "`vip` was `192.168.29.80` and is `192.168.29.90`",
                "`virtual_router_id` was `80` and is `90`"
            ]
        );
        assert_eq!(
            changes(|text| text.replace("workerone", "workertwo")),
            ["machine `workertwo` is new", "machine `workerone` is gone"]
        );
    }
}
