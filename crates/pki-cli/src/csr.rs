//! `caravan-pki csr`

use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use caravan_pki::{CertificateRequest, CommonName, Error, Organization, PrivateKey, Sans, Subject};

use crate::flags::Csr;
use crate::output::{self, Exit, Failure};

pub(crate) fn run(args: &Csr, json: bool) -> Result<Exit, Failure> {
    // Before a key is made: what cannot be asked for leaves nothing behind.
    let mut subject = Subject::new(CommonName::try_from(args.cn.as_str())?);
    for organization in &args.organization {
        subject = subject.with_organization(Organization::try_from(organization.as_str())?);
    }
    let sans = match args.san.is_empty() {
        true => None,
        false => Some(Sans::parse(args.san.iter().map(String::as_str))?),
    };
    let (key, made) = key(&args.key)?;
    let request = CertificateRequest::create(&key, &subject, sans.as_ref())?;
    if made {
        eprintln!("made {}", args.key.display());
    }
    if json {
        output::show_json(&serde_json::json!({
            "key": args.key.display().to_string(),
            "new_key": made,
            "request": request.to_pem(),
        }));
    } else {
        output::print(request.to_pem());
    }
    Ok(Exit::Done)
}

/// The key of the file, or a new one, and whether it is new.
fn key(path: &Path) -> Result<(PrivateKey, bool), Failure> {
    match std::fs::read(path) {
        Ok(bytes) => {
            let bytes = caravan_pki::Zeroizing::new(bytes);
            let key = PrivateKey::from_pem(&bytes).map_err(output::in_file(path))?;
            Ok((key, false))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let key = PrivateKey::generate()?;
            let write = || {
                std::fs::File::options()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(path)?
                    .write_all(key.to_pkcs8_pem().as_bytes())
            };
            write().map_err(|source| io("write", path, source))?;
            Ok((key, true))
        }
        Err(error) => Err(io("read", path, error).into()),
    }
}

fn io(action: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::Io {
        action,
        path: path.to_owned(),
        source,
    }
}
