//! The API servers' certificate for etcd, taken to where it must not work: as an etcd server, and as an etcd peer.

use std::net::IpAddr;
use std::time::Duration;

use caravan_lab::{Machine, Role, ports};

use super::context::{Context, times, told};
use super::findings::Findings;
use super::refusals::insistent;
use crate::attempt::{Attempt, Client, End};
use crate::facts::{self, Facts};
use crate::parallel;

/// How long the throw-away server and its clients may take.
const IMPOSTOR_LIMIT: Duration = Duration::from_secs(45);

/// Serves a throw-away etcd with that certificate on a master's loopback; real clients must refuse it.
pub(super) fn as_server(context: &Context) -> Result<Findings, String> {
    let master = context.lab.first_master();
    // An etcd runs there soon, which the survey must not take for one of the master's own.
    context.survey(master)?;
    let script = times(context.access.pace()) + include_str!("scripts/impostor.sh");
    let facts = facts::ask(&context.access, master, &script, IMPOSTOR_LIMIT).map_err(told)?;
    Ok(judge_server(&master.name, &facts))
}

fn judge_server(master: &str, facts: &Facts) -> Findings {
    let mut findings = Findings::new();
    let said = |section: &str| facts.get(section).unwrap_or_default();
    let status = |section: &str| said(section).first().map(String::as_str);
    // Alive before and after, and served to a client that does not look at certificates.
    if said("alive") != ["yes"] || said("still-alive") != ["yes"] {
        findings.wrong(
            master,
            format!(
                "nothing is proved, because no etcd could be served with it on {master}: {}",
                said("log").join("; ")
            ),
        );
        return findings;
    }
    if status("etcdctl-careless") != Some("0") {
        findings.wrong(
            master,
            format!(
                "nothing is proved, because etcdctl is not served even when it does not look: {}",
                said("etcdctl-careless").join("; ")
            ),
        );
    }
    findings.add(
        master,
        match status("etcdctl") {
            Some("0") => Err(format!("etcdctl on {master} took it for a server")),
            Some(_) => refusal(said("etcdctl"), "x509: ").map(|why| format!("etcdctl: {why}")),
            None => Err("etcdctl was not asked".to_owned()),
        },
    );
    // Go looks for the server's name first, and the certificate has none; OpenSSL looks at the purpose first.
    findings.add(
        master,
        match status("curl") {
            Some("0") => Err(format!("curl on {master} took it for a server")),
            Some(_) => {
                refusal(said("curl"), "certificate purpose").map(|why| format!("curl: {why}"))
            }
            None => Err("curl was not asked".to_owned()),
        },
    );
    findings
}

/// What of a client's words says that the certificate was the reason.
fn refusal(said: &[String], reason: &str) -> Result<String, String> {
    let line = said
        .iter()
        .find(|line| line.contains(reason))
        .ok_or_else(|| format!("refused for another reason: {}", said.join("; ")))?;
    // Of a log line in JSON, what comes after the reason until the text ends.
    let words = match line.find(reason) {
        Some(at) if reason.ends_with(": ") => &line[at..],
        _ => line,
    };
    let end = words.find(['"', '\\']).unwrap_or(words.len());
    Ok(words[..end].trim().to_owned())
}

/// Goes from each etcd machine, so that no packet filter is in the way, to the next one's port for peers.
pub(super) fn as_peer(context: &Context) -> Result<Findings, String> {
    let access = &context.access;
    let impostor = context.client(&access.etcd_ca, Some(&access.apiserver_etcd_client))?;
    let nobody = context.client(&access.etcd_ca, None)?;
    let members: Vec<&Machine> = context.lab.of_role(Role::Etcd).collect();
    let next = members.iter().cycle().skip(1);
    let hops: Vec<(&Machine, &Machine)> = members.iter().copied().zip(next.copied()).collect();
    let attempt = |from: &Machine, to: &Machine| {
        let target = format!("{}:{}", to.ip, ports::ETCD_PEER);
        let remote = context.remote(from);
        // A busy machine may need a second try.
        let way = remote
            .forward(&target)
            .or_else(|_| remote.forward(&target))
            .map_err(|error| format!("no way from {} to {}: {error}", from.name, to.name))?;
        let ask = |client: &Client| {
            insistent(|| match way.connect() {
                Ok(socket) => client.get_over(socket, IpAddr::V4(to.ip), "/version"),
                Err(error) => Attempt {
                    shown: None,
                    trusted: false,
                    end: End::Unreachable(error.to_string()),
                },
            })
        };
        let (with_it, without) = (ask(&impostor), ask(&nobody));
        // The same hop with a peer's own pair, which never leaves its machine.
        let proper = context
            .survey(from)?
            .get("peer-answers")
            .unwrap_or_default();
        let proper = proper.contains(&format!("{} 200", to.ip));
        judge_peer(&from.name, &to.name, proper, &with_it, &without)
    };
    Ok(
        parallel::each(hops, |(from, to)| (&to.name, attempt(from, to)))
            .into_iter()
            .collect(),
    )
}

fn judge_peer(
    from: &str,
    to: &str,
    proper: bool,
    with_it: &Attempt,
    without: &Attempt,
) -> Result<String, String> {
    if !proper {
        return Err(format!(
            "nothing is proved, because {to} does not serve the peer {from} either"
        ));
    }
    for (attempt, who) in [(with_it, "it"), (without, "who shows nothing")] {
        if !attempt.trusted && !matches!(attempt.end, End::Answered { .. }) {
            return Err(format!(
                "nothing is proved, because {to} did not speak TLS with {who} from {from}: {}",
                attempt.end
            ));
        }
    }
    if !with_it.is_refusal() {
        return Err(format!(
            "{to} does not refuse it from {from}: {}",
            with_it.end
        ));
    }
    if !without.is_refusal() {
        return Err(format!(
            "{to} does not refuse who shows nothing: {}",
            without.end
        ));
    }
    Ok(format!(
        "{from} to {to}: {} (and {} to who shows nothing; the peer's own certificate is served)",
        with_it.end,
        match &without.end {
            End::Alert(alert) => alert.as_str(),
            _ => "a hang-up",
        }
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "@@ alive\nyes\n@@ log\n@@ etcdctl-careless\n0\n@@ etcdctl\n1\n{\"level\":\"warn\",\"error\":\"rpc error: desc = \\\"transport: authentication handshake failed: tls: failed to verify certificate: x509: cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs\\\"\"}\n@@ curl\n60\ncurl: (60) SSL certificate problem: unsuitable certificate purpose\n@@ still-alive\nyes\n";

    #[test]
    fn no_client_takes_it_for_a_server() {
        let judge = |text: &str| judge_server("masterone", &Facts::parse(text));
        assert!(judge(GOOD).holds(), "{:?}", judge(GOOD));
        let evidence = judge(GOOD).verdict().text;
        assert!(
            evidence.starts_with("etcdctl: x509: cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs; curl: "),
            "{evidence}"
        );
        for (from, to) in [
            ("@@ alive\nyes", "@@ alive\nno"),
            ("@@ still-alive\nyes", "@@ still-alive"),
            ("careless\n0", "careless\n1"),
            ("@@ etcdctl\n1", "@@ etcdctl\n0"),
            ("x509: ", "timeout "),
            ("@@ curl\n60", "@@ curl\n0"),
            (
                "unsuitable certificate purpose",
                "unable to get local issuer certificate",
            ),
            ("@@ curl\n", "@@ other\n"),
        ] {
            let bad = GOOD.replace(from, to);
            assert_ne!(bad, GOOD);
            assert!(!judge(&bad).holds(), "{from}");
        }
        assert!(!judge("").holds());
    }

    #[test]
    fn a_peer_refuses_it() {
        let attempt = |trusted, end| Attempt {
            shown: None,
            trusted,
            end,
        };
        let alert = |name: &str| attempt(true, End::Alert(name.to_owned()));
        let bad = alert("BadCertificate");
        let none = alert("CertificateRequired");
        let judge = |proper, with_it: &Attempt, without: &Attempt| {
            judge_peer("a", "b", proper, with_it, without).is_ok()
        };
        assert!(judge(true, &bad, &none));
        assert!(!judge(false, &bad, &none));
        let answered = attempt(
            true,
            End::Answered {
                status: 200,
                body: String::new(),
            },
        );
        let closed = attempt(false, End::Closed("the server hung up".to_owned()));
        let nobody = attempt(false, End::Unreachable("refused".to_owned()));
        for wrong in [&answered, &closed, &nobody] {
            assert!(!judge(true, wrong, &none));
            assert!(!judge(true, &bad, wrong));
        }
    }
}
