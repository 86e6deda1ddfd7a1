//! The certificate of the metrics server: the cluster has it too, in a Secret, from which its pod has it.

use caravan_cluster::Access;
use caravan_cluster::kube::Api;
use caravan_lab::Lab;
use caravan_render::Material;
use serde_json::{Value, json};

use crate::Error;

/// The Secret, as people name it.
pub(super) const SECRET: &str = "kube-system/metrics-server";

/// Where it is in the API.
const PATH: &str = "/api/v1/namespaces/kube-system/secrets/metrics-server";

/// Has the cluster's Secret have the certificate of the store, where the lab has a metrics server; its key stays. The server
/// reads it by itself, once the kubelet has brought it to its pod. Returns whether the Secret had another one.
///
/// # Errors
///
/// [`Error::Cluster`].
pub(crate) fn follow(lab: &Lab, access: &Access, material: &Material) -> Result<bool, Error> {
    let Some(certificate) = material.metrics_certificate() else {
        return Ok(false);
    };
    let api = Api::endpoint(lab, access)?;
    match api.get(PATH) {
        Ok(secret) if has(&secret, certificate) => Ok(false),
        Ok(_) => {
            api.patch(PATH, &json!({ "data": { "tls.crt": certificate } }))?;
            Ok(true)
        }
        // Asked for, and not there yet: `up` makes it.
        Err(error) if error.is_status(404) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn has(secret: &Value, certificate: &str) -> bool {
    secret["data"]["tls.crt"] == certificate
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_certificate_is_told_from_the_same() {
        let secret = json!({ "data": { "tls.crt": "QQ==", "tls.key": "Qg==" } });
        assert!(has(&secret, "QQ=="));
        assert!(!has(&secret, "QQ"));
        assert!(!has(&json!({}), "QQ=="));
    }
}
