//! What never leaves: service addresses their machine, and with `--airgap` anything the lab.

use caravan_lab::Machine;

use super::context::{Context, unused_service};
use super::findings::Findings;
use super::limits;
use crate::facts::{Facts, packets};

/// The device that takes what is sent to service addresses that nothing has translated.
const SERVICE_DEVICE: &str = "caravan-svc";

/// Every node dials an address of no service, and one of a service; none of it leaves.
pub(super) fn service_addresses(context: &Context) -> Result<Findings, String> {
    let dialled = [
        format!("{} 80 ", unused_service(&context.lab)),
        format!("{} 443 ", context.lab.kubernetes_service_ip()),
    ];
    Ok(context.judge_surveys(context.nodes(), |machine, facts| {
        judge_stay(machine, &dialled, facts)
    }))
}

fn judge_stay(
    machine: &Machine,
    [unused, service]: &[String; 2],
    facts: &Facts,
) -> Result<String, String> {
    let name = &machine.name;
    let route = facts.text("service-route");
    if !route.contains(&format!("dev {SERVICE_DEVICE} ")) {
        return Err(format!("{name}'s route to service addresses is `{route}`"));
    }
    let guard = facts.text("guard");
    for part in [
        "table inet caravan_guard",
        "hook output",
        "hook forward",
        "hook postrouting",
    ] {
        if !guard.contains(part) {
            return Err(format!("{name}'s guard has no `{part}`"));
        }
    }
    let dials = facts.get("service-dials").unwrap_or_default();
    let state = |place: &str| {
        dials
            .iter()
            .find_map(|line| line.strip_prefix(place))
            .ok_or_else(|| format!("{name} did not dial {place}"))
    };
    // A service that answers proves that dials to service addresses get as far as translation.
    if state(service)? != "open" {
        return Err(format!(
            "{name} does not reach {service}: {}",
            state(service)?
        ));
    }
    let why = state(unused)?
        .strip_prefix("shut")
        .ok_or_else(|| format!("something answers {name} at {unused}"))?;
    match leaked(&facts.text("leaked")) {
        Some(0) => Ok(format!(
            "{name}: to {unused}no way ({}), to {service}connected, 0 packets leaked since its start",
            if why.trim().is_empty() {
                "no answer"
            } else {
                why.trim()
            }
        )),
        Some(count) => Err(format!("{name} would have let {count} packets out")),
        None => Err(format!("{name} has no counter of what leaks")),
    }
}

/// The packets of the guard's counter, from `nft list counter inet caravan_guard leaked`.
pub(super) fn leaked(text: &str) -> Option<u64> {
    packets(text, "leaked")
}

/// No machine has a route to the world. Looked up, never dialled.
pub(super) fn no_way_out(context: &Context) -> Result<Findings, String> {
    let lab = &context.lab;
    Ok(context.judge_surveys(lab.machines(), |machine, facts| {
        let server = lab.server(&machine.server);
        let is_bridged = server.is_some_and(|server| server.bridge.is_some());
        judge_no_way_out(machine, is_bridged, facts)
    }))
}

/// `is_bridged` on a bridge that others may share.
fn judge_no_way_out(machine: &Machine, is_bridged: bool, facts: &Facts) -> Result<String, String> {
    let name = &machine.name;
    match facts.get("default-routes") {
        Some([]) => {}
        Some([route, ..]) => return Err(format!("{name} has a default route: {route}")),
        None => return Err(format!("{name} did not show its routes")),
    }
    let way = facts.text("way-out");
    if !way.contains("unreachable") {
        return Err(format!("{name} has a way out: {way}"));
    }
    if limits::is_container(facts) && !is_bridged {
        return Ok(format!("{name}: {way}"));
    }
    // Others share its network, or one of its networks, by which a route may come back.
    let filter = facts.text("airgap-filter");
    for hook in ["hook output", "hook forward"] {
        let drops =
            (filter.lines()).any(|line| line.contains(hook) && line.contains("policy drop"));
        if !drops {
            return Err(format!(
                "{name}'s packet filter `caravan_airgap` has no `{hook}` that drops what is for nobody in the lab"
            ));
        }
    }
    let held = packets(&filter, "refused").unwrap_or_default()
        + packets(&filter, "refused_forward").unwrap_or_default();
    Ok(format!(
        "{name}: {way}; its packet filter has held back {held} packets"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::tests::lab;
    use super::*;

    const GOOD: &str = "@@ service-route\n10.111.255.254 dev caravan-svc src 192.168.29.51 uid 0\n@@ guard\ntable inet caravan_guard {\nhook output\nhook forward\nhook postrouting\n@@ service-dials\n10.111.255.254 80 shut No route to host\n10.96.0.1 443 open\n@@ leaked\ntable inet caravan_guard {\n\tcounter leaked {\n\t\tpackets 0 bytes 0\n\t}\n}\n";

    #[test]
    fn service_addresses_stay() {
        let lab = lab("ha");
        let machine = lab.first_master();
        let dialled = ["10.111.255.254 80 ".to_owned(), "10.96.0.1 443 ".to_owned()];
        let judge = |text: &str| judge_stay(machine, &dialled, &Facts::parse(text));
        assert!(judge(GOOD).is_ok(), "{:?}", judge(GOOD));
        for (from, to) in [
            ("dev caravan-svc ", "via 192.168.29.1 dev eth0 "),
            ("packets 0", "packets 3"),
            ("counter leaked", "counter other"),
            ("80 shut No route to host", "80 open"),
            ("443 open", "443 shut Connection refused"),
            ("hook postrouting\n", ""),
            ("10.111.255.254 80 shut", "10.111.255.253 80 shut"),
        ] {
            let bad = GOOD.replace(from, to);
            assert_ne!(bad, GOOD);
            assert!(judge(&bad).is_err(), "{from}");
        }
        assert!(judge("").is_err());
    }

    #[test]
    fn counters() {
        assert_eq!(
            leaked("counter leaked {\n packets 12 bytes 720\n}"),
            Some(12)
        );
        assert_eq!(leaked("counter refused {\n packets 12 bytes 720\n}"), None);
        assert_eq!(leaked(""), None);
    }

    #[test]
    fn ways_out() {
        let lab = lab("ha");
        let judge_on = |is_bridged, text: &str| {
            judge_no_way_out(lab.first_master(), is_bridged, &Facts::parse(text)).is_ok()
        };
        let judge = |text: &str| judge_on(false, text);
        let good = "@@ default-routes\n@@ way-out\nRTNETLINK answers: Network is unreachable\n@@ virtualization\ndocker\n";
        assert!(judge(good));
        assert!(!judge(
            &good.replace("@@ way", "default via 172.17.0.1 dev eth1\n@@ way")
        ));
        assert!(!judge(&good.replace(
            "RTNETLINK answers: Network is unreachable",
            "203.0.113.1 via 192.168.29.1"
        )));
        assert!(!judge(""));
        // A virtual machine has a packet filter as well.
        let virtual_machine = format!(
            "{}@@ airgap-filter\ntable inet caravan_airgap {{\ncounter refused {{\npackets 3 bytes 180\n}}\n\
             type filter hook output priority 20; policy drop;\ntype filter hook forward priority 20; policy drop;\n",
            good.replace("docker", "none")
        );
        assert!(judge(&virtual_machine));
        // And so has a container on a bridge that others may share.
        assert!(!judge_on(true, good));
        assert!(judge_on(true, &virtual_machine.replace("none", "docker")));
        for (from, to) in [
            ("hook forward", "hook input"),
            (
                "hook output priority 20; policy drop",
                "hook output priority 20; policy accept",
            ),
            ("@@ airgap-filter", "@@ other"),
        ] {
            assert!(!judge(&virtual_machine.replace(from, to)), "{from}");
        }
    }
}
