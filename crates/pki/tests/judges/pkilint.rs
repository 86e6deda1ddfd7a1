//! pkilint reads certificates by the letter of RFC 5280 and its kin; `install-pkilint` brings it.
//!
//! It is found in the folder that `CARAVAN_PKILINT` names, on the search path, or where the script puts it.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use caravan_pki::Item;
use caravan_pki::store::Store;

use super::openssl::cluster;
use super::{missing, run};

/// Both linters.
pub(crate) struct Pkilint {
    folder: PathBuf,
}

impl Pkilint {
    const ALONE: &str = "lint_pkix_cert";
    const CHAIN: &str = "lint_pkix_signer_signee_cert_chain";

    /// The linters, if they are installed; panics if they are not but must be.
    pub(crate) fn find() -> Option<Self> {
        if let Some(folder) = std::env::var_os("CARAVAN_PKILINT") {
            let folder = PathBuf::from(folder);
            assert!(
                folder.join(Self::ALONE).is_file(),
                "`{}` has no `{}`",
                folder.display(),
                Self::ALONE
            );
            return Some(Self { folder });
        }
        let installed = || {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judges/install-pkilint");
            let output = duct::cmd!(script, "--where").read().ok()?;
            let folder = PathBuf::from(output.trim());
            folder.join(Self::ALONE).is_file().then_some(folder)
        };
        let folder = which::which(Self::ALONE)
            .ok()
            .and_then(|path| path.parent().map(Path::to_owned))
            .or_else(installed);
        if folder.is_none() {
            missing("pkilint");
        }
        Some(Self { folder: folder? })
    }

    /// What is wrong with one certificate.
    pub(crate) fn alone(&self, file: &Path) -> Vec<String> {
        let args = ["lint", "-s", "WARNING", file.to_str().unwrap()];
        self.findings(Self::ALONE, &args)
    }

    /// What is wrong between a certificate and its issuer's.
    pub(crate) fn chain(&self, issuer: &Path, file: &Path) -> Vec<String> {
        let args = ["lint", issuer.to_str().unwrap(), file.to_str().unwrap()];
        self.findings(Self::CHAIN, &args)
    }

    /// The findings, one a line, each beginning with its code.
    ///
    /// Names of one label are no fault here: pkilint knows the public Internet alone.
    fn findings(&self, linter: &str, args: &[&str]) -> Vec<String> {
        let (clean, said) = run(&self.folder.join(linter), args, "");
        let lines = said.lines().filter_map(|line| line.strip_prefix("    "));
        let all: Vec<String> = lines.map(str::to_owned).collect();
        assert_eq!(clean, all.is_empty(), "{linter} {args:?}: {said}");
        all.into_iter()
            .filter(|finding| {
                let single = finding
                    .split('"')
                    .nth(1)
                    .is_some_and(|name| !name.contains('.'));
                !(single && finding.starts_with("pkix.invalid_domain_name_syntax "))
            })
            .collect()
    }
}

#[test]
fn every_certificate_is_without_fault() {
    let Some(pkilint) = Pkilint::find() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("pki");
    let store = Store::open(&root).unwrap();
    let plan = cluster().plan().unwrap();
    store.ensure(&plan, SystemTime::now()).unwrap();
    let mut judged = 0;
    for entry in plan.entries() {
        let id = entry.id();
        let issuer = match entry.item() {
            Item::Leaf { issuer, .. } => issuer,
            Item::Authority { .. } => id,
            _ => continue,
        };
        let (file, issuer) = (
            root.join(format!("{id}.crt")),
            root.join(format!("{issuer}.crt")),
        );
        let none: [&str; 0] = [];
        assert_eq!(pkilint.alone(&file), none, "{id}");
        assert_eq!(pkilint.chain(&issuer, &file), none, "{id}");
        judged += 1;
    }
    // The authorities, etcd's member, the master, API servers as clients, the operator.
    assert_eq!(judged, 3 + 3 + 8 + 1 + 1);
}
