//! kubeconfig files with certificate and key inside.

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use crate::{Error, Identity};

/// A kubeconfig: one user with certificate and key, and one or more ways to the cluster.
///
/// ```
/// # use std::time::SystemTime;
/// # use caravan_pki::{Authority, AuthoritySpec, CommonName, Leaf};
/// use caravan_pki::kubernetes::Kubeconfig;
/// # fn main() -> Result<(), caravan_pki::Error> {
/// # let now = SystemTime::now();
/// # let ca = Authority::create(&AuthoritySpec::new(CommonName::try_from("kubernetes")?), now)?;
/// # let admin = ca.issue(&Leaf::client(CommonName::try_from("kubernetes-admin")?), now)?;
/// let text = Kubeconfig::new("kubernetes-admin", &ca.certificate_pem(), &admin)?
///     .with_context("lab", "https://192.168.29.80:6443")?
///     .with_context("lab-masterone", "https://192.168.29.51:6443")?
///     .to_yaml();
/// assert!(text.contains("\ncurrent-context: \"lab\"\n"));
/// # Ok(())
/// # }
/// ```
pub struct Kubeconfig {
    user: String,
    authority: String,
    certificate: String,
    key: Zeroizing<String>,
    contexts: Vec<Context>,
}

/// One way to the cluster.
struct Context {
    name: String,
    cluster: String,
    server: String,
}

impl Kubeconfig {
    /// A kubeconfig for `user` without contexts. `authority` is the PEM that API servers are judged by.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a user name that is empty or holds control characters.
    pub fn new(user: &str, authority: &str, identity: &Identity) -> Result<Self, Error> {
        Ok(Self {
            user: name("user", user)?,
            authority: Base64::encode_string(authority.as_bytes()),
            certificate: Base64::encode_string(identity.chain_pem().as_bytes()),
            key: Zeroizing::new(Base64::encode_string(identity.key_pem().as_bytes())),
            contexts: Vec::new(),
        })
    }

    /// Adds a context of this name, whose cluster has the same name. The first context added is the current one.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for an unusable name, and unless `server` is an `https` URL.
    pub fn with_context(self, context: &str, server: &str) -> Result<Self, Error> {
        let cluster = context.to_owned();
        self.with_named_context(context, &cluster, server)
    }

    /// Adds a context whose cluster has a name of its own, as kubeadm's `kubernetes-admin@kubernetes`.
    ///
    /// # Errors
    ///
    /// As [`Kubeconfig::with_context`].
    pub fn with_named_context(
        mut self,
        context: &str,
        cluster: &str,
        server: &str,
    ) -> Result<Self, Error> {
        let rest = server.strip_prefix("https://").unwrap_or_default();
        // Printable ASCII is all that a URL may hold, and all that needs no care in YAML.
        if rest.is_empty() || !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
            let shown = server.escape_debug().to_string();
            return Err(Error::invalid(
                "server URL",
                shown,
                "must start with `https://`",
            ));
        }
        self.contexts.push(Context {
            name: name("context", context)?,
            cluster: name("cluster", cluster)?,
            server: server.to_owned(),
        });
        Ok(self)
    }

    /// The file, which holds a private key: mode 0600.
    pub fn to_yaml(&self) -> Zeroizing<String> {
        let user = quoted(&self.user);
        // Room for everything: growing would leave copies of the key behind.
        let room = 1024
            + self.key.len()
            + self.certificate.len()
            + self.contexts.len() * (1024 + self.authority.len());
        let mut text = Zeroizing::new(String::with_capacity(room));
        text.push_str("apiVersion: v1\nkind: Config\npreferences: {}\nclusters:\n");
        for context in &self.contexts {
            for part in [
                "- name: ",
                &quoted(&context.cluster),
                "\n  cluster:\n    certificate-authority-data: ",
                &self.authority,
                "\n    server: ",
                &quoted(&context.server),
                "\n",
            ] {
                text.push_str(part);
            }
        }
        text.push_str("contexts:\n");
        for context in &self.contexts {
            for part in [
                "- name: ",
                &quoted(&context.name),
                "\n  context:\n    cluster: ",
                &quoted(&context.cluster),
                "\n    user: ",
                &user,
                "\n",
            ] {
                text.push_str(part);
            }
        }
        let current = self.contexts.first().map_or("", |context| &context.name);
        for part in [
            "current-context: ",
            &quoted(current),
            "\nusers:\n- name: ",
            &user,
            "\n  user:\n    client-certificate-data: ",
            &self.certificate,
            "\n    client-key-data: ",
            &self.key,
            "\n",
        ] {
            text.push_str(part);
        }
        text
    }
}

impl std::fmt::Debug for Kubeconfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let contexts = self
            .contexts
            .iter()
            .map(|context| (&context.name, &context.server));
        f.debug_struct("Kubeconfig")
            .field("user", &self.user)
            .field("contexts", &contexts.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

fn name(field: &'static str, value: &str) -> Result<String, Error> {
    if value.is_empty() || value.chars().any(char::is_control) {
        let shown = value.escape_debug().to_string();
        return Err(Error::invalid(
            field,
            shown,
            "is empty or holds control characters",
        ));
    }
    Ok(value.to_owned())
}

/// A YAML double-quoted scalar of text without control characters.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Authority, AuthoritySpec, CommonName, Leaf};
    use expect_test::expect;
    use std::time::SystemTime;

    fn example() -> Kubeconfig {
        let now = SystemTime::now();
        let name = |name| CommonName::try_from(name).unwrap();
        let ca = Authority::create(&AuthoritySpec::new(name("ca")), now).unwrap();
        let identity = ca.issue(&Leaf::client(name("admin")), now).unwrap();
        let mut config = Kubeconfig::new("an \"admin\"", "ca", &identity).unwrap();
        config.certificate = "CERTIFICATE".to_owned();
        config.key = Zeroizing::new("KEY".to_owned());
        config
    }

    #[test]
    fn whole_file() {
        let config = example()
            .with_context("ha", "https://192.168.29.80:6443")
            .unwrap()
            .with_named_context("me@x", "x", "https://[fd00::1]:6443")
            .unwrap();
        expect![[r#"
            apiVersion: v1
            kind: Config
            preferences: {}
            clusters:
            - name: "ha"
              cluster:
                certificate-authority-data: Y2E=
                server: "https://192.168.29.80:6443"
            - name: "x"
              cluster:
                certificate-authority-data: Y2E=
                server: "https://[fd00::1]:6443"
            contexts:
            - name: "ha"
              context:
                cluster: "ha"
                user: "an \"admin\""
            - name: "me@x"
              context:
                cluster: "x"
                user: "an \"admin\""
            current-context: "ha"
            users:
            - name: "an \"admin\""
              user:
                client-certificate-data: CERTIFICATE
                client-key-data: KEY
        "#]]
        .assert_eq(&config.to_yaml());
    }

    #[test]
    fn servers_are_https_urls_without_surprises() {
        for server in [
            "",
            "https://",
            "http://x",
            "x:6443",
            "https://a\nb",
            "https://a b",
        ] {
            assert!(example().with_context("x", server).is_err(), "{server}");
        }
        assert!(example().with_context("a\nb", "https://x").is_err());
    }
}
