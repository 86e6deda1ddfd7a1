//! Names of images, and what registries say in one header.

use crate::Error;

/// An image's name, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    /// `docker.io/flannel/flannel:v1`, as machines know it.
    pub(crate) name: String,
    /// Who serves it: `registry-1.docker.io`.
    pub(crate) host: String,
    /// `flannel/flannel`.
    pub(crate) repository: String,
    /// `v1`.
    pub(crate) tag: String,
}

impl Reference {
    /// Takes apart a name with registry and tag.
    ///
    /// # Errors
    ///
    /// [`Error::Image`] where one of them is not there.
    pub(crate) fn parse(name: &str) -> Result<Reference, Error> {
        let parts = name
            .split_once('/')
            .and_then(|(host, rest)| Some((host, rest.rsplit_once(':')?)));
        match parts {
            Some((host, (repository, tag))) if host.contains(['.', ':']) => Ok(Reference {
                name: name.to_owned(),
                // The one registry whose name in images is not its address.
                host: match host {
                    "docker.io" => "registry-1.docker.io",
                    host => host,
                }
                .to_owned(),
                repository: repository.to_owned(),
                tag: tag.to_owned(),
            }),
            _ => Err(Error::Image {
                name: name.to_owned(),
                what: "its name has no registry or no tag".to_owned(),
            }),
        }
    }

    pub(crate) fn makes_no_sense(&self, what: String) -> Error {
        Error::Image {
            name: self.name.clone(),
            what,
        }
    }
}

/// The value of `name="..."` in a header such as `Bearer realm="https://auth.docker.io/token",service="..."`.
pub(super) fn parameter(header: &str, name: &str) -> Option<String> {
    let start = header
        .match_indices(&format!("{name}=\""))
        .find(|(at, _)| {
            // Not the end of a longer name.
            header[..*at]
                .chars()
                .next_back()
                .is_none_or(|before| before == ' ' || before == ',')
        })?;
    let value = &header[start.0 + start.1.len()..];
    value.split_once('"').map(|(value, _)| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        for (name, expected) in [
            (
                "ghcr.io/flannel-io/flannel:v0.28.4",
                Some(("ghcr.io", "flannel-io/flannel", "v0.28.4")),
            ),
            (
                "docker.io/library/x:1",
                Some(("registry-1.docker.io", "library/x", "1")),
            ),
            ("localhost:5000/x:1", Some(("localhost:5000", "x", "1"))),
            ("flannel/flannel:v1", None),
            ("ghcr.io/flannel-io/flannel", None),
        ] {
            let found = Reference::parse(name).ok();
            let found = found
                .as_ref()
                .map(|it| (it.host.as_str(), it.repository.as_str(), it.tag.as_str()));
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn challenges_are_read() {
        let header = "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",\
                      scope=\"repository:flannel/flannel:pull,push\"";
        let of = |name| parameter(header, name);
        assert_eq!(of("realm").as_deref(), Some("https://auth.docker.io/token"));
        assert_eq!(of("service").as_deref(), Some("registry.docker.io"));
        assert_eq!(
            of("scope").as_deref(),
            Some("repository:flannel/flannel:pull,push")
        );
        assert_eq!(of("alm"), None);
        assert_eq!(of("error"), None);
    }
}
