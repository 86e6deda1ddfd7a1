//! Alarms: why etcd refuses work although its members agree. They stay until somebody disarms them.

use std::collections::BTreeSet;
use std::fmt;

use caravan_lab::Lab;
use serde::{Deserialize, Serialize};

use super::Status;

/// What etcdctl must be told on a member's machine.
pub const ETCDCTL: &str = "sudo etcdctl --cacert /etc/etcd/pki/ca.crt --cert /etc/etcd/pki/healthcheck-client.crt --key /etc/etcd/pki/healthcheck-client.key";

/// An alarm that is raised for a member, and holds for the whole cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Alarm {
    /// The name of the member that it is raised for; its id where no member of that id answers.
    pub member: String,
    /// Etcd's name of it: `NOSPACE`, `CORRUPT`.
    pub name: String,
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "etcd's alarm {} of `{}`", self.name, self.member)
    }
}

/// An alarm as a member tells it among its complaints: `memberID:13803658152347727308 alarm:NOSPACE `.
fn parse(complaint: &str) -> Option<(u64, &str)> {
    let field = |name: &str| {
        complaint
            .split_ascii_whitespace()
            .find_map(|word| word.strip_prefix(name))
    };
    Some((field("memberID:")?.parse().ok()?, field("alarm:")?))
}

/// The alarms that members tell of, each once; `said` is each member's name and what it says of itself.
pub fn of<'a>(said: impl IntoIterator<Item = (&'a str, &'a Status)> + Clone) -> Vec<Alarm> {
    let found: BTreeSet<Alarm> = said
        .clone()
        .into_iter()
        .flat_map(|(_, status)| &status.errors)
        .filter_map(|complaint| parse(complaint))
        .map(|(id, name)| {
            let mut all = said.clone().into_iter();
            let member = all.find(|(_, status)| status.member_id == id);
            Alarm {
                member: member.map_or_else(|| format!("{id:x}"), |(member, _)| member.to_owned()),
                name: name.to_owned(),
            }
        })
        .collect();
    found.into_iter().collect()
}

impl Alarm {
    /// What the alarm forbids, and the commands that end it, for people. `tool` is how the program that calls this is
    /// started, such as `cargo xtask`.
    pub fn advice(&self, lab: &Lab, tool: &str) -> String {
        let lab = lab.name();
        let member = &self.member;
        match self.name.as_str() {
            "NOSPACE" => format!(
                "all writes are refused, because the data has reached etcd's quota; `{tool} etcd defrag {lab}` forgets old revisions, gives the space back, and allows writes again"
            ),
            "CORRUPT" => format!(
                "everything is refused, because its data is not that of the others; make the machine anew: `{tool} destroy {lab} {member}` and `{tool} up {lab}`; then `{tool} etcd defrag {lab}` ends the alarm"
            ),
            _ => format!(
                "when its cause is gone: `{tool} ssh {lab} {member} -- {ETCDCTL} alarm disarm`"
            ),
        }
    }
}

/// Why a member is not healthy, from the body of its answer: `{"health":"false","reason":"ALARM NOSPACE"}`.
pub(crate) fn reason(body: &str) -> String {
    let read: Option<serde_json::Value> = serde_json::from_str(body.trim()).ok();
    match read.as_ref().and_then(|it| it["reason"].as_str()) {
        Some(reason) if !reason.is_empty() => reason.to_owned(),
        _ => body.lines().last().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(member_id: u64, errors: &[&str]) -> Status {
        Status {
            cluster_id: 1,
            member_id,
            leader: 7,
            revision: 40,
            version: "3.6.14".to_owned(),
            term: 2,
            db_size: 1,
            learner: false,
            errors: errors.iter().map(|error| (*error).to_owned()).collect(),
        }
    }

    #[test]
    fn alarms_are_told_once_and_by_name() {
        let full = ["memberID:7 alarm:NOSPACE ", "etcdserver: no leader"];
        let said = [
            ("one", status(7, &full)),
            ("two", status(8, &full)),
            ("three", status(9, &["memberID:99  alarm:CORRUPT"])),
        ];
        let alarms = of(said.iter().map(|(name, status)| (*name, status)));
        let told: Vec<String> = alarms.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "etcd's alarm CORRUPT of `63`",
                "etcd's alarm NOSPACE of `one`"
            ]
        );
        assert_eq!(of([("one", &status(7, &["memberID:x alarm:NOSPACE"]))]), []);
    }

    #[test]
    fn the_way_out_is_a_command() {
        let lab = Lab::parse("ha", include_str!("../../../../labs/ha.toml")).expect("a valid lab");
        let advice = |name: &str| {
            let alarm = Alarm {
                member: "etcdone".to_owned(),
                name: name.to_owned(),
            };
            alarm.advice(&lab, "caravan")
        };
        assert!(advice("NOSPACE").contains("`caravan etcd defrag ha`"));
        let places: Vec<_> = [
            "`caravan destroy ha etcdone`",
            "`caravan up ha`",
            "`caravan etcd defrag ha`",
        ]
        .iter()
        .map(|command| advice("CORRUPT").find(command).expect("told"))
        .collect();
        assert!(places.is_sorted());
        assert!(advice("NEW").contains("`caravan ssh ha etcdone -- sudo etcdctl --cacert "));
        assert!(advice("NEW").contains("alarm disarm`"));
    }

    #[test]
    fn reasons_are_read_out_of_answers() {
        assert_eq!(
            reason(r#"{"health":"false","reason":"ALARM NOSPACE"}"#),
            "ALARM NOSPACE"
        );
        assert_eq!(
            reason("[+]ping ok\nreadyz check failed\n"),
            "readyz check failed"
        );
        assert_eq!(reason(""), "");
    }
}
