//! `caravan-pki bundle`

use std::io::{self, Write as _};
use std::os::unix::fs::{PermissionsExt, fchown};
use std::path::Path;

use caravan_pki::{Error, Item, Zeroizing};
use nix::unistd::Group;

use crate::flags::Bundle;
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
    let text = match entry.item() {
        Item::Authority { .. } if args.key => {
            return Err(Failure::Request {
                problem: format!(
                    "`{}` is an authority, whose key is for nobody else",
                    args.id
                ),
                hint: "without --key, what to trust is printed".to_owned(),
            });
        }
        Item::Authority { .. } => Zeroizing::new(material.trust_pem(&args.id)?),
        _ => {
            let identity = material.identity(&args.id)?;
            let mut text = Zeroizing::new(identity.chain_pem());
            if args.key {
                let whole = Zeroizing::new(format!("{}{}", *text, *identity.key_pem()));
                text = whole;
            }
            text
        }
    };
    let Some(out) = &args.out else {
        output::print(&*text);
        return Ok(Exit::Done);
    };
    let mode = args.mode.unwrap_or(if args.key { 0o600 } else { 0o644 });
    let group = args.group.as_deref().map(group).transpose()?;
    write(out, text.as_bytes(), mode, group).map_err(|source| Error::Io {
        action: "write",
        path: out.clone(),
        source,
    })?;
    if json {
        let file = out.display().to_string();
        output::show_json(&serde_json::json!({ "id": args.id, "file": file }));
    } else {
        output::say(format_args!("wrote {}", out.display()));
    }
    Ok(Exit::Done)
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

/// Writes the file in one step: never readable by others than it is meant for, and whole or not at all.
fn write(path: &Path, bytes: &[u8], mode: u32, group: Option<u32>) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .tempfile_in(folder)?;
    file.write_all(bytes)?;
    if let Some(group) = group {
        fchown(file.as_file(), None, Some(group))?;
    }
    let permissions = std::fs::Permissions::from_mode(mode);
    file.as_file().set_permissions(permissions)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
