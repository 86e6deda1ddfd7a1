//! A folder in which OpenSSL makes certificates, and judges ours.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use caravan_pki::Certificate;
use caravan_pki::store::Store;

use super::ask_openssl::strict;
use super::{go, judge, run};

const DAY: u64 = 86_400;

/// OpenSSL and a store's folder that it makes certificates in; they begin now.
pub(crate) struct Workshop {
    pub(crate) openssl: PathBuf,
    folder: tempfile::TempDir,
    /// Seconds since 1970, when the test began.
    pub(crate) start: u64,
}

impl Workshop {
    pub(crate) fn new() -> Option<Self> {
        let openssl = judge("openssl")?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Some(Self {
            openssl,
            folder: tempfile::tempdir().unwrap(),
            start: since.as_secs() + 2,
        })
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub(crate) fn shown(&self, file: &str) -> String {
        self.path(file).to_str().unwrap().to_owned()
    }

    pub(crate) fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap()
    }

    pub(crate) fn certificate(&self, file: &str) -> Certificate {
        Certificate::from_pem(self.read(file).as_bytes()).unwrap()
    }

    pub(crate) fn store(&self) -> Store {
        Store::open(self.path("store")).unwrap()
    }

    pub(crate) fn on_day(&self, day: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.start + day * DAY)
    }

    pub(crate) fn must(&self, args: &[&str]) {
        let (made, said) = run(&self.openssl, args, "");
        assert!(made, "{args:?}: {said}");
    }

    pub(crate) fn key(&self, id: &str, algorithm: &[&str]) {
        let file = self.shown(&format!("store/{id}.key"));
        self.must(&[&["genpkey", "-out", &file], algorithm].concat());
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// A root that signs itself.
    pub(crate) fn root(&self, id: &str, days: u32, extensions: &str) {
        self.store();
        self.key(id, &P256);
        let config = self.shown("root.cnf");
        let text = format!(
            "[req]\ndistinguished_name=dn\nx509_extensions=ext\nprompt=no\n[dn]\nC=DE\nO=Some Company, Inc.\nCN={id}\n[ext]\n{extensions}\n"
        );
        fs::write(&config, text).unwrap();
        let (key, certificate) = (
            self.shown(&format!("store/{id}.key")),
            self.shown(&format!("store/{id}.crt")),
        );
        let days = days.to_string();
        self.must(&[
            "req",
            "-x509",
            "-new",
            "-key",
            &key,
            "-config",
            &config,
            "-days",
            &days,
            "-out",
            &certificate,
        ]);
    }

    /// A certificate below `issuer`.
    pub(crate) fn signed(
        &self,
        issuer: &str,
        id: &str,
        subject: &str,
        days: u32,
        extensions: &str,
    ) {
        if !self.path(&format!("store/{id}.key")).exists() {
            self.key(id, &P256);
        }
        let file = |name: &str, extension: &str| self.shown(&format!("store/{name}.{extension}"));
        let (request, config) = (self.shown("request"), self.shown("ext"));
        fs::write(&config, extensions).unwrap();
        self.must(&[
            "req",
            "-new",
            "-key",
            &file(id, "key"),
            "-subj",
            subject,
            "-out",
            &request,
        ]);
        let days = days.to_string();
        self.must(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            &file(issuer, "crt"),
            "-CAkey",
            &file(issuer, "key"),
            "-days",
            &days,
            "-extfile",
            &config,
            "-out",
            &file(id, "crt"),
        ]);
    }

    /// OpenSSL and Go on the file `chain` below the file `root`, on a day.
    pub(crate) fn all_accept(&self, root: &str, chain: &str, usage: &str, host: &str, day: u64) {
        let seconds = (self.start + day * DAY).to_string();
        let purpose = format!("ssl{usage}");
        let (root, chain) = (self.shown(root), self.shown(chain));
        let mut more = vec![
            "-attime",
            &seconds,
            "-purpose",
            &purpose,
            "-untrusted",
            &chain,
        ];
        if !host.is_empty() {
            more.extend(["-verify_hostname", host]);
        }
        let (accepted, said) = run(&self.openssl, &strict(&root, &chain, &more), "");
        assert!(accepted, "day {day}: {said}");
        if let Some(go) = go::go() {
            let line = format!("judge\t{root}\t{chain}\t{usage}\t{host}\t{seconds}");
            assert_eq!(go::verdicts(&go, &[line]), ["ok"], "day {day}: {chain}");
        }
    }
}

pub(crate) const P256: [&str; 4] = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];

pub(crate) const ROOT: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash";

pub(crate) const SERVER: &str = "keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\nsubjectAltName=DNS:web.example.com\n\
     subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n";
