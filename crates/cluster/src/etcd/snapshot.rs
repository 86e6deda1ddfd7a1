//! All data of one member as one file, which `etcdutl snapshot restore` takes.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use caravan_lab::{Machine, ports};

use crate::{Access, Error, facts};

/// Writes a snapshot on the member's machine, prints it, and removes it.
const SCRIPT: &str = r#"umask 077
folder=$(mktemp -d /var/tmp/caravan-snapshot.XXXXXX) || exit 1
trap 'rm -rf -- "$folder"' EXIT
etcdctl --endpoints "https://$ADDRESS:$PORT" --cacert /etc/etcd/pki/ca.crt --cert /etc/etcd/pki/healthcheck-client.crt \
    --key /etc/etcd/pki/healthcheck-client.key snapshot save "$folder/snapshot.db" >&2 || exit 1
echo '@@ snapshot'
base64 "$folder/snapshot.db"
"#;

/// What the member on `machine` has.
///
/// # Errors
///
/// [`Error::Machine`] and [`Error::Script`], also where the machine has no room for it.
pub fn of_machine(access: &Access, machine: &Machine, limit: Duration) -> Result<Vec<u8>, Error> {
    let script = format!(
        "ADDRESS={} PORT={}\n{SCRIPT}",
        machine.ip,
        ports::ETCD_CLIENT
    );
    let said = facts::ask(access, machine, &script, limit)?;
    decoded(said.get("snapshot").unwrap_or_default()).ok_or_else(|| Error::Script {
        machine: machine.name.clone(),
        status: Some(0),
        said: "what it printed is no snapshot".to_owned(),
    })
}

/// The bytes that the lines stand for; none where they are none, or nothing.
fn decoded(lines: &[String]) -> Option<Vec<u8>> {
    let bytes = BASE64.decode(lines.concat()).ok()?;
    (!bytes.is_empty()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_one_file() {
        let lines =
            |text: &[&str]| -> Vec<String> { text.iter().map(|it| (*it).to_owned()).collect() };
        assert_eq!(decoded(&lines(&["AAEC", "Aw=="])), Some(vec![0, 1, 2, 3]));
        assert_eq!(decoded(&lines(&["AAE"])), None);
        assert_eq!(decoded(&[]), None);
    }
}
