//! Names of images, in the form in which nodes know them.

use oci_spec::distribution::Reference;

use crate::Error;

/// The full name of what is called `name`: `docker.io/library/app:1` of `app:1`.
///
/// # Errors
///
/// [`Error::ImageName`], also for a name by digest alone: that is what an image is, and no name for it.
pub fn full_name(name: &str) -> Result<String, Error> {
    let refused = |reason: String| Error::ImageName {
        name: name.to_owned(),
        reason,
    };
    let parsed: Reference = name
        .parse()
        .map_err(|error: oci_spec::distribution::ParseError| refused(error.to_string()))?;
    match (parsed.tag(), parsed.digest()) {
        (Some(tag), None) => Ok(format!(
            "{}/{}:{tag}",
            parsed.registry(),
            parsed.repository()
        )),
        _ => Err(refused("it has a digest in the place of a tag".to_owned())),
    }
}

/// Whether a kubelet asks a registry for what has this full name before it uses what is there: the default pull policy of
/// `latest` is `Always` (<https://kubernetes.io/docs/concepts/containers/images/#imagepullpolicy-defaulting>).
pub fn has_moving_tag(full_name: &str) -> bool {
    full_name.ends_with(":latest")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_those_of_dockers_registry() {
        for (name, full) in [
            ("app", "docker.io/library/app:latest"),
            ("app:1", "docker.io/library/app:1"),
            ("me/app:1", "docker.io/me/app:1"),
            ("docker.io/library/app:1", "docker.io/library/app:1"),
            ("ghcr.io/me/app:1.0-rc1", "ghcr.io/me/app:1.0-rc1"),
            ("localhost:5000/app", "localhost:5000/app:latest"),
            ("localhost/app:1", "localhost/app:1"),
        ] {
            assert_eq!(full_name(name).expect(name), full);
        }
        assert!(has_moving_tag("docker.io/library/app:latest"));
        assert!(!has_moving_tag("docker.io/library/latest:1"));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let digest = format!("app@sha256:{}", "0".repeat(64));
        for name in ["", "App:1", "app:", "app:1:2", "app 1", "../app", &digest] {
            let refused = full_name(name).expect_err(name);
            assert!(
                refused.to_string().contains(&format!("`{name}`")),
                "{refused}"
            );
        }
    }
}
