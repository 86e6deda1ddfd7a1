//! The other judges: OpenSSL's command, Go's crypto/x509, and webpki as rustls uses it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{
    BorrowedCertRevocationList, CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage,
    RevocationOptionsBuilder, UnknownStatusPolicy,
};

use super::forge::NOW;
use super::model::{Asked, HOST, LEAF, Model, ROOT};
use crate::ask_openssl::strict;
use crate::run;

/// A model with its signatures: what judges are given.
pub(crate) struct Case {
    /// From the leaf to the root.
    pub(crate) certificates: Vec<Vec<u8>>,
    pub(crate) lists: Vec<Vec<u8>>,
    pub(crate) asked: Asked,
    withheld: Vec<usize>,
}

impl Case {
    pub(crate) fn of(model: &Model) -> Self {
        Self {
            certificates: model.certificates(),
            lists: model.signed_lists(),
            asked: model.asked,
            withheld: model.withheld.clone(),
        }
    }

    /// The places of the certificates that are sent: all but the root, and those that are withheld.
    pub(crate) fn sent(&self) -> impl Iterator<Item = usize> {
        (LEAF..ROOT).filter(|place| !self.withheld.contains(place))
    }
}

/// What the others say; `None` of who is not installed.
pub(crate) struct Verdict {
    pub(crate) openssl: Option<Result<(), String>>,
    pub(crate) go: Option<Result<(), String>>,
    pub(crate) webpki: Result<(), String>,
}

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    use base64ct::{Base64, Encoding};
    let body = Base64::encode_string(der);
    let lines: Vec<&str> = (0..body.len())
        .step_by(64)
        .map(|at| &body[at..(at + 64).min(body.len())])
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

pub(crate) fn ask(cases: &[Case], openssl: Option<&Path>, go: Option<&Path>) -> Vec<Verdict> {
    let folder = tempfile::tempdir().unwrap();
    let mut lines = Vec::new();
    let mut verdicts = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        let file = |name: &str, content: &str| {
            let path = folder.path().join(format!("{index}.{name}"));
            fs::write(&path, content).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let text = |place: usize| pem("CERTIFICATE", &case.certificates[place]);
        let root = file("root", &text(ROOT));
        let sent: String = case.sent().map(text).collect();
        let sent = file("sent", &sent);
        let usage = match case.asked {
            Asked::Server => "server",
            Asked::Client => "client",
        };
        let name = if case.asked == Asked::Server {
            HOST
        } else {
            ""
        };
        lines.push(format!("judge\t{root}\t{sent}\t{usage}\t{name}\t{NOW}"));
        let lists: String = case
            .lists
            .iter()
            .map(|list| pem("X509 CRL", list))
            .collect();
        let lists = (!case.lists.is_empty()).then(|| file("lists", &lists));
        verdicts.push(Verdict {
            openssl: openssl
                .map(|openssl| by_openssl(openssl, case, &root, &sent, lists.as_deref())),
            go: None,
            webpki: by_webpki(case).map_err(|error| format!("{error:?}")),
        });
    }
    if let Some(go) = go {
        let said = crate::go::verdicts(go, &lines);
        assert_eq!(said.len(), cases.len());
        for (verdict, said) in verdicts.iter_mut().zip(said) {
            verdict.go = Some(if said == "ok" { Ok(()) } else { Err(said) });
        }
    }
    verdicts
}

fn by_openssl(
    openssl: &Path,
    case: &Case,
    root: &str,
    sent: &str,
    lists: Option<&str>,
) -> Result<(), String> {
    let time = NOW.to_string();
    // The first of what is sent is the leaf, which vouches for nobody.
    let mut more = vec!["-attime", &time, "-untrusted", sent];
    match case.asked {
        Asked::Server => more.extend(["-purpose", "sslserver", "-verify_hostname", HOST]),
        Asked::Client => more.extend(["-purpose", "sslclient"]),
    }
    if let Some(lists) = lists {
        more.extend(["-crl_check", "-CRLfile", lists]);
    }
    match run(openssl, &strict(root, sent, &more), "") {
        (true, _) => Ok(()),
        (false, said) => Err(said.replace('\n', " ")),
    }
}

fn by_webpki(case: &Case) -> Result<(), webpki::Error> {
    let der = |place: usize| CertificateDer::from(&case.certificates[place][..]);
    let root = der(ROOT);
    let anchors = [webpki::anchor_from_trusted_cert(&root)?];
    let between: Vec<CertificateDer<'_>> = case.sent().skip(1).map(der).collect();
    let leaf = der(LEAF);
    let leaf = EndEntityCert::try_from(&leaf)?;
    let lists: Result<Vec<CertRevocationList<'_>>, webpki::Error> = case
        .lists
        .iter()
        .map(|list| BorrowedCertRevocationList::from_der(list).map(Into::into))
        .collect();
    let lists = lists?;
    let lists: Vec<&CertRevocationList<'_>> = lists.iter().collect();
    let options = RevocationOptionsBuilder::new(&lists).ok().map(|options| {
        options
            .with_status_policy(UnknownStatusPolicy::Allow)
            .with_expiration_policy(ExpirationPolicy::Enforce)
            .build()
    });
    let usage = match case.asked {
        Asked::Server => KeyUsage::server_auth(),
        Asked::Client => KeyUsage::client_auth(),
    };
    let time = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
    let algorithms = webpki::ALL_VERIFICATION_ALGS;
    leaf.verify_for_usage(algorithms, &anchors, &between, time, usage, options, None)?;
    if case.asked == Asked::Server {
        leaf.verify_is_valid_for_subject_name(&ServerName::try_from(HOST).unwrap())?;
    }
    Ok(())
}
