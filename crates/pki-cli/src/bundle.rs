//! `caravan-pki bundle`

use std::path::Path;

use caravan_files::Access;
use caravan_pki::{Identity, Item, Zeroizing};
use nix::unistd::Group;

use crate::flags::{Bundle, BundleFormat};
use crate::folder;
use crate::output::{self, Exit, Failure};

pub(crate) fn run(args: &Bundle, json: bool) -> Result<Exit, Failure> {
    let store = folder::existing(&args.store)?;
    let found = store.discover()?;
    let Some(entry) = found.plan.entry(&args.id) else {
        let names = folder::names(&found).unwrap_or_else(|| "nothing".to_owned());
        return Err(Failure::Request {
            problem: format!("there is no `{}` in `{}`", args.id, args.store.display()),
            hint: format!("in it are: {names}"),
        });
    };
    let material = store.load(&found.plan)?;
    let is_secret = args.key || args.format == BundleFormat::Pkcs12;
    let passphrase = args.passphrase_file.as_deref().map(passphrase);
    let passphrase = passphrase.transpose()?;
    let content: Zeroizing<Vec<u8>> = match entry.item() {
        Item::Authority { .. } if is_secret => {
            return Err(Failure::Request {
                problem: format!(
                    "`{}` is an authority, whose key is for nobody else",
                    args.id
                ),
                hint: "without --key, what to trust is printed".to_owned(),
            });
        }
        Item::Authority { .. } => Zeroizing::new(material.trust_pem(&args.id)?.into_bytes()),
        _ => export(args, material.identity(&args.id)?, passphrase.as_ref())?,
    };
    let Some(out) = &args.out else {
        output::print_bytes(&content);
        return Ok(Exit::Done);
    };
    let mode = args.mode.unwrap_or(if is_secret { 0o600 } else { 0o644 });
    let access = match args.group.as_deref().map(group).transpose()? {
        Some(group) => Access::ModeAndGroup(mode, group),
        None => Access::Mode(mode),
    };
    caravan_files::replace(out, &content, access).map_err(output::not_written)?;
    if json {
        let file = out.display().to_string();
        output::show_json(&serde_json::json!({ "id": args.id, "file": file }));
    } else {
        output::say(format_args!("wrote {}", out.display()));
    }
    Ok(Exit::Done)
}

/// A certificate with what is wanted beside it.
fn export(
    args: &Bundle,
    identity: &Identity,
    passphrase: Option<&Zeroizing<String>>,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    if let (BundleFormat::Pkcs12, Some(passphrase)) = (args.format, passphrase) {
        return pkcs12(&args.id, identity, passphrase);
    }
    // The key's text is copied once, into memory that is wiped.
    let mut text = Zeroizing::new(Vec::with_capacity(16 * 1024));
    text.extend_from_slice(identity.chain_pem().as_bytes());
    match passphrase {
        _ if !args.key => {}
        None => text.extend_from_slice(identity.key_pem().as_bytes()),
        Some(passphrase) => {
            let pem = encrypted(&identity.key().to_pkcs8_der(), passphrase);
            text.extend_from_slice(pem.map_err(not_exported)?.as_bytes());
        }
    }
    Ok(text)
}

/// A key as an `ENCRYPTED PRIVATE KEY` block: PKCS#8, scrypt and AES-256.
fn encrypted(der: &[u8], passphrase: &str) -> pkcs8::Result<Zeroizing<String>> {
    let info = pkcs8::PrivateKeyInfoRef::try_from(der)?;
    let document = info.encrypt(passphrase)?;
    let pem = document.to_pem("ENCRYPTED PRIVATE KEY", pkcs8::LineEnding::LF)?;
    Ok(pem)
}

/// Certificate, chain and key as PKCS#12: PBES2 with AES-256, and an HMAC of SHA-256, which OpenSSL 1.1, Java 8u301 and
/// Windows Server 2019 read, and all that are later.
fn pkcs12(id: &str, identity: &Identity, passphrase: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
    let chain: Result<Vec<Certificate>, _> = identity
        .chain()
        .map(|one| Certificate::from_der(one.as_der()))
        .collect();
    let key = PrivateKey::from_der(&identity.key().to_pkcs8_der()).map_err(not_exported)?;
    let local_id = identity.certificate().serial();
    let entry = PrivateKeyChain::new(local_id.as_bytes(), key, chain.map_err(not_exported)?);
    let mut store = KeyStore::new();
    store.add_entry(id, KeyStoreEntry::PrivateKeyChain(entry));
    let written = store.writer(passphrase).write().map_err(not_exported)?;
    Ok(Zeroizing::new(written))
}

fn not_exported(error: impl std::fmt::Display) -> Failure {
    Failure::Request {
        problem: format!("it could not be exported: {error}"),
        hint: "without --format and --passphrase-file, it is PEM".to_owned(),
    }
}

/// The first line of a file, which must hold something.
fn passphrase(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let bytes = Zeroizing::new(output::read(path)?);
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(Zeroizing::new(line.to_owned())),
        _ => Err(Failure::Request {
            problem: format!("`{}` holds no passphrase", path.display()),
            hint: "its first line is taken, as UTF-8".to_owned(),
        }),
    }
}

/// The number of a group, by its name or by itself.
fn group(text: &str) -> Result<u32, Failure> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    match Group::from_name(text) {
        Ok(Some(found)) => Ok(found.gid.as_raw()),
        _ => Err(Failure::Request {
            problem: format!("there is no group `{}`", text.escape_debug()),
            hint: "`getent group` lists them".to_owned(),
        }),
    }
}
