//! Service account tokens: by which keys API servers verify them and with which they sign, where nodes have theirs, and how they
//! are made anew. A token names the key that signed it (`kid`), and no token leaves its machine but one that was made to be
//! shown.

use std::collections::BTreeSet;
use std::net::SocketAddrV4;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL;
use caravan_lab::{Lab, Machine, ports};
use serde_json::{Value, json};

use crate::attempt::Client;
use crate::kube::{Api, items};
use crate::rotation::{Reception, reception};
use crate::{Access, Error, facts, until};

/// How long a node may take to tell, at the usual pace.
const LIMIT: Duration = Duration::from_secs(15);

/// How long the controller manager may take to make the token of a Secret, at the usual pace.
const REMAKE: Duration = Duration::from_secs(60);

/// The service account that a token is asked for of: it is in every cluster, and nobody has given it any rights.
const ACCOUNT: &str = "/api/v1/namespaces/kube-system/serviceaccounts/default";

/// The type of Secrets that have a token which never ends.
const SECRET_TYPE: &str = "kubernetes.io/service-account-token";

/// Prints, for each file of a node that has a token, what the token says before its claims: of pods, as the kubelet keeps them,
/// and of network plugins.
const HELD: &str = r"
echo '@@ tokens'
grep --recursive --only-matching --binary-files=without-match --max-count 1 --with-filename \
    'eyJ[A-Za-z0-9_-]*[.]eyJ' /var/lib/kubelet/pods/*/volumes/kubernetes.io~projected /etc/cni/net.d 2>/dev/null |
    sed 's/[.]eyJ$//' || true
";

/// A token that a node has in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldToken {
    /// The file there.
    pub path: String,
    /// The key that signed it.
    pub key_id: String,
}

/// The keys by which the API server of `master` verifies tokens, as it has read them when it began.
///
/// # Errors
///
/// [`Error::Unreachable`], [`Error::Answered`], [`Error::Credentials`].
pub fn verifying_keys(access: &Access, master: &Machine) -> Result<BTreeSet<String>, Error> {
    let published = Api::master(master, access)?.get("/openid/v1/jwks")?;
    let keys = published["keys"].as_array().into_iter().flatten();
    Ok(keys
        .filter_map(|key| key["kid"].as_str().map(str::to_owned))
        .collect())
}

/// Asks the API server of `master` for a token that is valid for `lifetime`, of an account without rights.
///
/// # Errors
///
/// [`Error::Unreachable`], [`Error::Answered`], [`Error::Credentials`].
pub fn request(access: &Access, master: &Machine, lifetime: Duration) -> Result<String, Error> {
    let asked = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": { "expirationSeconds": lifetime.as_secs() },
    });
    let made = Api::master(master, access)?.create(&format!("{ACCOUNT}/token"), &asked)?;
    let token = made["status"]["token"].as_str().unwrap_or_default();
    Ok(token.to_owned())
}

/// The name of the key that has signed a token; `None` of what is none.
pub fn key_id(token: &str) -> Option<String> {
    key_id_of_header(token.split('.').next()?)
}

fn key_id_of_header(header: &str) -> Option<String> {
    let header = BASE64_URL.decode(header).ok()?;
    let header: Value = serde_json::from_slice(&header).ok()?;
    header["kid"].as_str().map(str::to_owned)
}

/// Shows a token to the API server of `master`, over a connection made for that.
///
/// # Errors
///
/// [`Error::NotShown`] where there is no answer that tells, [`Error::Credentials`].
pub fn show(access: &Access, master: &Machine, token: &str) -> Result<Reception, Error> {
    let at = SocketAddrV4::new(master.ip, ports::API);
    let client = Client::new(&access.kubernetes_ca, None)?
        .with_limit(access.question())
        .with_header("Authorization", &format!("Bearer {token}"))
        .by(&access.way);
    // Everybody who has a name may know which versions there are; nobody else may.
    let attempt = client.get(at, "/apis");
    reception(&attempt).ok_or_else(|| Error::NotShown {
        machine: master.name.clone(),
        at,
        why: attempt.end.to_string(),
    })
}

/// The tokens that a node has in files.
///
/// # Errors
///
/// [`Error::Machine`], [`Error::Script`].
pub fn held(access: &Access, node: &Machine) -> Result<Vec<HeldToken>, Error> {
    let said = facts::ask(access, node, HELD, LIMIT)?;
    let lines = said.get("tokens").unwrap_or_default().iter();
    Ok(lines.filter_map(|line| read_held(line)).collect())
}

/// `PATH:HEADER`.
fn read_held(line: &str) -> Option<HeldToken> {
    let (path, header) = line.rsplit_once(':')?;
    Some(HeldToken {
        path: path.to_owned(),
        key_id: key_id_of_header(header)?,
    })
}

/// Has the controller manager make those tokens anew that Secrets have and that the key `signs` did not sign; returns them, each
/// as `NAMESPACE/NAME`. Whoever has copied one has to be given the new one.
///
/// # Errors
///
/// [`Error::NotInTime`], [`Error::Unreachable`], [`Error::Answered`], [`Error::Credentials`].
pub fn remake_in_secrets(lab: &Lab, access: &Access, signs: &str) -> Result<Vec<String>, Error> {
    let api = Api::endpoint(lab, access)?;
    let old = || -> Result<Vec<String>, Error> {
        let path = format!("/api/v1/secrets?fieldSelector=type%3D{SECRET_TYPE}");
        let all = api.get(&path)?;
        Ok(items(&all)
            .filter(|secret| is_of_another(secret, signs))
            .filter_map(name_of)
            .collect())
    };
    let remade = old()?;
    for name in &remade {
        let Some((namespace, secret)) = name.split_once('/') else {
            continue;
        };
        // One without a token is given another.
        api.patch(
            &format!("/api/v1/namespaces/{namespace}/secrets/{secret}"),
            &json!({ "data": { "token": null } }),
        )?;
    }
    if !remade.is_empty() {
        let what = "the controller manager to make the tokens of Secrets anew";
        until(access.pace().of(REMAKE), what, || {
            let left = old().map_err(|error| error.chain())?;
            match left.first() {
                None => Ok(true),
                Some(name) => Err(format!("`{name}` has the one that was there")),
            }
        })?;
    }
    Ok(remade)
}

fn name_of(secret: &Value) -> Option<String> {
    let metadata = &secret["metadata"];
    let namespace = metadata["namespace"].as_str()?;
    Some(format!("{namespace}/{}", metadata["name"].as_str()?))
}

/// Whether a Secret has a token that another key than `signs` has signed, or none.
fn is_of_another(secret: &Value, signs: &str) -> bool {
    let token = secret["data"]["token"].as_str().unwrap_or_default();
    let token = base64::engine::general_purpose::STANDARD.decode(token);
    let token = token.ok().and_then(|token| String::from_utf8(token).ok());
    token.and_then(|token| key_id(&token)).as_deref() != Some(signs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(key_id: &str) -> String {
        let part = |value: Value| BASE64_URL.encode(value.to_string());
        let header = part(json!({ "alg": "ES256", "kid": key_id }));
        format!("{header}.{}.c2lnbmVk", part(json!({ "sub": "x" })))
    }

    #[test]
    fn a_token_names_the_key_that_signed_it() {
        assert_eq!(key_id(&token("new")), Some("new".to_owned()));
        assert_eq!(key_id("no token"), None);
        assert_eq!(key_id(""), None);
    }

    #[test]
    fn a_node_tells_files_and_keys() {
        let header = token("old");
        let header = header.split('.').next().expect("it has one");
        let path = "/var/lib/kubelet/pods/5a/volumes/kubernetes.io~projected/kube-api-access-x/..2026_11_30_10_11_12.1/token";
        assert_eq!(
            read_held(&format!("{path}:{header}")),
            Some(HeldToken {
                path: path.to_owned(),
                key_id: "old".to_owned()
            })
        );
        assert_eq!(read_held("no token"), None);
    }

    #[test]
    fn a_secret_with_another_ones_token_is_told() {
        let secret = |token: &str| {
            let data = base64::engine::general_purpose::STANDARD.encode(token);
            json!({ "metadata": { "namespace": "shop", "name": "web" }, "data": { "token": data } })
        };
        assert!(is_of_another(&secret(&token("old")), "new"));
        assert!(!is_of_another(&secret(&token("new")), "new"));
        assert!(is_of_another(&json!({ "metadata": {} }), "new"));
        assert_eq!(name_of(&secret(&token("new"))), Some("shop/web".to_owned()));
    }
}
