//! Nobody can join by token: whoever holds one may become any node.

use std::thread::sleep;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::context::{Context, told};
use super::findings::Findings;
use crate::kube;

/// The token that `kubeadm init` cannot be kept from making ends at once; the controller manager then removes it.
const REMOVED: (usize, Duration) = (20, Duration::from_millis(500));

/// The tokens of the cluster, asked until there is none or the controller manager has had its time.
pub(super) fn none(context: &Context) -> Result<Findings, String> {
    let api = context.api()?;
    let ask = || {
        api.get("/api/v1/namespaces/kube-system/secrets?fieldSelector=type%3Dbootstrap.kubernetes.io%2Ftoken")
            .map(|list| judge(&list))
            .map_err(told)
    };
    let mut found = ask()?;
    for _ in 1..REMOVED.0 {
        if !found.is_broken() {
            break;
        }
        sleep(context.access.pace().of(REMOVED.1));
        found = ask()?;
    }
    Ok(found)
}

/// Tells a token by its name and its end, never by its secret.
fn judge(list: &Value) -> Findings {
    let mut findings = Findings::new();
    for token in kube::items(list) {
        let name = token["metadata"]["name"].as_str().unwrap_or_default();
        let end = token["data"]["expiration"]
            .as_str()
            .and_then(|text| STANDARD.decode(text).ok())
            .and_then(|bytes| String::from_utf8(bytes).ok());
        findings.wrong(
            name,
            match end {
                Some(end) => {
                    format!("{name} lets anybody who knows it join as any node, until {end}")
                }
                None => format!("{name} lets anybody who knows it join as any node, without end"),
            },
        );
    }
    if list["items"].is_array() {
        findings.right("kube-system", "there is no join token");
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_token_is_one_too_many() {
        assert!(judge(&json!({"items": []})).holds());
        assert!(!judge(&json!({})).holds());
        let token = |data: Value| json!({"items": [{"metadata": {"name": "bootstrap-token-abcdef"}, "data": data}]});
        let end = STANDARD.encode("2020-01-01T00:00:00Z");
        for data in [json!({"expiration": end}), json!({})] {
            assert!(judge(&token(data)).is_broken());
        }
        let secret =
            json!({"token-secret": STANDARD.encode("0123456789abcdef"), "expiration": "?"});
        let evidence = judge(&token(secret)).verdict().text;
        assert_eq!(
            evidence,
            "bootstrap-token-abcdef lets anybody who knows it join as any node, without end"
        );
    }
}
