//! Which flags, feature gates and fields the programs of a bundle know: what they say of themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::time::Duration;

use caravan_process::Program;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::cache::{Cache, remove_tree};
use crate::progress::Silent;
use crate::{Error, digest};

/// The programs of the control plane, which are in images once a bundle is whole.
const CONTROL_PLANE: [&str; 3] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
];

/// The others that have feature gates, and where a bundle has them.
const OTHERS: [(&str, &str); 2] = [
    ("kubelet", "bin/kubelet"),
    ("kube-proxy", "image/kube-proxy"),
];

/// How long a program may take to say what it knows.
const LIMIT: Duration = Duration::from_secs(60);

/// How many unknown fields a strict decoder tells of at most.
const TOLD_AT_ONCE: usize = 100;

/// What programs of Kubernetes said of themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownSettings {
    /// Flags without their dashes, by program: `kube-apiserver`.
    pub flags: BTreeMap<String, BTreeSet<String>>,
    /// Feature gates that may be changed, by program: those of the control plane, the kubelet and kube-proxy.
    pub gates: BTreeMap<String, BTreeSet<String>>,
    /// Fields of KubeletConfiguration.
    pub kubelet_fields: BTreeSet<String>,
}

/// Why a kubelet's configuration was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeletRefusal {
    /// Which field: `logging.verbosity`; `None` where that was not said.
    pub field: Option<String>,
    /// Why, as kubeadm says it.
    pub why: String,
}

/// Asks the programs of the bundle at `bundle`; those of the control plane lie in the folder `control_plane`.
pub(crate) fn ask(
    bundle: &Path,
    control_plane: &Path,
    scratch: &Path,
) -> Result<KnownSettings, Error> {
    let mut known = KnownSettings::default();
    let of_control_plane = CONTROL_PLANE.map(|name| (name, control_plane.join(name)));
    for (name, path) in &of_control_plane {
        let help = help(path)?;
        known.flags.insert((*name).to_owned(), flags(&help));
        known.gates.insert((*name).to_owned(), gates(&help));
    }
    for (name, path) in OTHERS {
        let help = help(&bundle.join(path))?;
        known.gates.insert(name.to_owned(), gates(&help));
    }
    known.kubelet_fields = kubelet_fields(&bundle.join("bin/kubeadm"), scratch)?;
    Ok(known)
}

/// The same of a bundle whose control plane is in images already.
pub(crate) fn ask_whole(cache: &Cache, bundle: &Path) -> Result<KnownSettings, Error> {
    let name = bundle.file_name().unwrap_or_default().to_string_lossy();
    let scratch = cache.workshop(&format!("known-{name}"))?;
    for program in CONTROL_PLANE {
        let archive = bundle.join("images").join(format!("{program}.tar"));
        unpack(&archive, program, &scratch)?;
    }
    let known = ask(bundle, &scratch, &scratch);
    remove_tree(&scratch)?;
    known
}

fn help(program: &Path) -> Result<String, Error> {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let said = Program::at(program)
        .call(["--help"])
        .timeout(LIMIT)
        .run()
        .map_err(Error::program(format!("ask {name} for its flags")))?;
    Ok(said.stdout)
}

/// The flags in a program's help: lines such as `  -v, --v Level   number for the log level verbosity`.
fn flags(help: &str) -> BTreeSet<String> {
    let flags = help.lines().filter_map(|line| {
        let line = line.strip_prefix("  ")?.trim_start();
        let word = match line.split_once(", --") {
            Some((short, rest)) if short.starts_with('-') && short.len() == 2 => rest,
            _ => line.strip_prefix("--")?,
        };
        let end = word.find(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c));
        Some(word[..end.unwrap_or(word.len())].to_owned())
    });
    flags.filter(|flag| !flag.is_empty()).collect()
}

/// The feature gates in a program's help: lines such as `kube:NAME=true|false (BETA - default=true)`.
fn gates(help: &str) -> BTreeSet<String> {
    let gates = help.lines().filter_map(|line| {
        let (before, _) = line.split_once("=true|false (")?;
        let name = before.rsplit([' ', ':']).next()?;
        (!name.is_empty()).then(|| name.to_owned())
    });
    gates.collect()
}

/// The fields of KubeletConfiguration: of all names of fields in kubeadm those that it does not call unknown there.
fn kubelet_fields(kubeadm: &Path, scratch: &Path) -> Result<BTreeSet<String>, Error> {
    let program = fs::read(kubeadm).map_err(Error::file("read", kubeadm))?;
    let names: Vec<String> = field_names(&program).into_iter().collect();
    let mut known = BTreeSet::new();
    for names in names.chunks(TOLD_AT_ONCE) {
        let fields: Map<String, Value> = (names.iter())
            .map(|name| (name.clone(), Value::Null))
            .collect();
        let said = validate(kubeadm, scratch, &fields)?.unwrap_or_default();
        let unknown: BTreeSet<&str> = unknown_fields(&said).collect();
        known.extend(
            names
                .iter()
                .filter(|name| !unknown.contains(name.as_str()))
                .cloned(),
        );
    }
    Ok(known)
}

/// The names in tags such as `json:"maxPods,omitempty"`, as they lie in a program of Go.
fn field_names(program: &[u8]) -> BTreeSet<String> {
    const TAG: &[u8] = b"json:\"";
    let mut names = BTreeSet::new();
    let mut rest = program;
    while let Some(place) = find(rest, TAG) {
        rest = &rest[place + TAG.len()..];
        let length = rest
            .iter()
            .take_while(|it| it.is_ascii_alphanumeric())
            .count();
        let ends_well = matches!(rest.get(length), Some(b',' | b'"'));
        if length > 0 && ends_well {
            names.insert(String::from_utf8_lossy(&rest[..length]).into_owned());
        }
    }
    names
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(place) = text[from..].iter().position(|byte| *byte == word[0]) {
        let at = from + place;
        if text[at..].starts_with(word) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

/// Lets kubeadm judge a kubelet's configuration; returns what it says against it.
fn validate(
    kubeadm: &Path,
    scratch: &Path,
    fields: &Map<String, Value>,
) -> Result<Option<String>, Error> {
    let mut kubelet = fields.clone();
    kubelet.insert(
        "apiVersion".to_owned(),
        json!("kubelet.config.k8s.io/v1beta1"),
    );
    kubelet.insert("kind".to_owned(), json!("KubeletConfiguration"));
    let cluster = json!({
        "apiVersion": "kubeadm.k8s.io/v1beta4", "kind": "ClusterConfiguration",
        // Without a version kubeadm asks the internet for the newest one.
        "kubernetesVersion": version(kubeadm)?,
    });
    // JSON is YAML.
    let text = format!("{cluster}\n---\n{}\n", Value::Object(kubelet));
    let file = scratch.join("kubelet.yaml");
    fs::write(&file, text).map_err(Error::file("write", &file))?;
    let said = Program::at(kubeadm)
        .call(["config", "validate", "--config"])
        .arg(&file)
        .timeout(LIMIT)
        .output()
        .map_err(Error::program(
            "let kubeadm judge the kubelets' configuration",
        ))?;
    Ok((!said.success()).then_some(said.stderr))
}

fn version(kubeadm: &Path) -> Result<String, Error> {
    let said = Program::at(kubeadm)
        .call(["version", "--output", "short"])
        .timeout(LIMIT)
        .run()
        .map_err(Error::program("ask kubeadm for its version"))?;
    Ok(said.stdout.trim().to_owned())
}

/// The fields in `... strict decoding error: unknown field "a", unknown field "b.c"`.
fn unknown_fields(said: &str) -> impl Iterator<Item = &str> {
    let parts = said.split("unknown field \"").skip(1);
    parts.filter_map(|rest| Some(rest.split_once('"')?.0))
}

/// Lets the kubeadm of the bundle at `bundle` judge fields of KubeletConfiguration; `None`: it has nothing against them.
///
/// # Errors
///
/// [`Error::Program`] where kubeadm cannot be run, [`Error::File`], [`Error::Interrupted`].
pub fn judge_kubelet(
    cache: &Cache,
    bundle: &Path,
    fields: &Map<String, Value>,
) -> Result<Option<KubeletRefusal>, Error> {
    let name = bundle.file_name().unwrap_or_default().to_string_lossy();
    let work = format!("judged-{name}");
    let _lock = cache.lock(&work, &Silent)?;
    let scratch = cache.workshop(&work)?;
    let said = validate(&bundle.join("bin/kubeadm"), &scratch, fields);
    remove_tree(&scratch)?;
    Ok(said?.map(|said| refusal(&said)))
}

fn refusal(said: &str) -> KubeletRefusal {
    let first = said.lines().next().unwrap_or_default();
    // error: error unmarshaling configuration schema.GroupVersionKind{...}: WHY
    let why = first.rsplit_once("}: ").map_or(first, |(_, why)| why);
    // json: cannot unmarshal string into Go struct field KubeletConfiguration.maxPods of type int32
    let of_wrong_type = why
        .split_once("KubeletConfiguration.")
        .and_then(|(_, rest)| rest.split(' ').next());
    let field = unknown_fields(why).next().or(of_wrong_type);
    KubeletRefusal {
        field: field.map(str::to_owned),
        why: why.to_owned(),
    }
}

/// Takes the program `name` out of the archive of its image, to the folder `to`.
fn unpack(archive: &Path, name: &str, to: &Path) -> Result<(), Error> {
    let place = to.join(name);
    match copy_program(archive, name, &place) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::Damaged {
            path: archive.to_owned(),
            what: format!("it has no program `{name}`"),
        }),
        Err(error) => Err(Error::file("read", archive)(error)),
    }
}

fn copy_program(archive: &Path, name: &str, to: &PathBuf) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;

    let file = BufReader::with_capacity(digest::CHUNK, File::open(archive)?);
    let wanted = format!("usr/local/bin/{name}");
    let mut image = tar::Archive::new(file);
    for blob in image.entries()? {
        // Of the blobs the layers alone are archives.
        let mut layer = tar::Archive::new(blob?);
        let Ok(files) = layer.entries() else { continue };
        for file in files {
            let Ok(mut file) = file else { break };
            if file.path()?.as_os_str() == wanted.as_str() {
                io::copy(&mut file, &mut BufWriter::new(File::create(to)?))?;
                fs::set_permissions(to, fs::Permissions::from_mode(0o755))?;
                return Ok(true);
            }
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_gates_are_read_from_the_help() {
        let help = "Generic flags:\n\n      --advertise-address ip               The address, see --bind-address.\n                                           --not-a-flag\n      --feature-gates colonSeparated   Comma-separated list. Options are:\n                                       kube:AllAlpha=true|false (ALPHA - default=false)\n                                       NodeSwap=true|false (BETA - default=true)\n  -v, --v Level                            number\n";
        let words = |words: &[&str]| {
            words
                .iter()
                .map(|it| (*it).to_owned())
                .collect::<BTreeSet<_>>()
        };
        // What a description begins a line with is no harm: it is the name of a flag all the same.
        assert_eq!(
            flags(help),
            words(&["advertise-address", "feature-gates", "not-a-flag", "v"])
        );
        assert_eq!(gates(help), words(&["AllAlpha", "NodeSwap"]));
    }

    #[test]
    fn names_of_fields_are_found_in_a_program() {
        let program = b"\0json:\"maxPods,omitempty\"\xffjson:\"kind\" json:\"-\" json:\"cut";
        let found: Vec<String> = field_names(program).into_iter().collect();
        assert_eq!(found, ["kind", "maxPods"]);
    }

    #[test]
    fn a_refusal_names_its_field() {
        let kind = "error: error unmarshaling configuration schema.GroupVersionKind{Group:\"kubelet.config.k8s.io\", Version:\"v1beta1\", Kind:\"KubeletConfiguration\"}: ";
        let of = |why: &str| refusal(&format!("{kind}{why}\nTo see the stack trace\n"));
        let unknown =
            of("strict decoding error: unknown field \"logging.verbositi\", unknown field \"x\"");
        assert_eq!(unknown.field.as_deref(), Some("logging.verbositi"));
        let typed = of(
            "json: cannot unmarshal string into Go struct field KubeletConfiguration.maxPods of type int32",
        );
        assert_eq!(typed.field.as_deref(), Some("maxPods"));
        assert!(typed.why.starts_with("json: cannot"), "{}", typed.why);
        assert_eq!(refusal("error: no").field, None);
    }
}
