//! The users of kubeconfigs that are there, read as kubectl reads them.

use std::path::PathBuf;

use base64ct::{Base64, Encoding};

use crate::Error;
use crate::yaml::{Document, NotText, Value};

/// A user of a kubeconfig.
pub(crate) struct User {
    pub(crate) name: String,
    /// What is wrong with it otherwise.
    pub(crate) proof: Result<Proof, String>,
}

/// How a user proves who it is.
pub(crate) enum Proof {
    /// By this certificate, in PEM.
    Certificate(Vec<u8>),
    /// By the certificate in this file, which is relative to the kubeconfig's folder.
    File(PathBuf),
    /// By something else, or not at all.
    Other(Option<&'static str>),
}

/// What else proves a user, by the key that says so.
const OTHERS: [(&str, &str); 5] = [
    ("exec", "a command"),
    ("auth-provider", "a plugin"),
    ("token", "a token"),
    ("tokenFile", "a token"),
    ("username", "a password"),
];

/// The users of the kubeconfig `text`, in its order; `None` if it is something else.
///
/// # Errors
///
/// [`Error::Malformed`] for a kubeconfig that kubectl refuses, or of which it does not read all.
pub(crate) fn users(text: &str) -> Result<Option<Vec<User>>, Error> {
    let document = match Document::read(text) {
        Ok(document) => document,
        // Something else, of which nothing is known.
        Err(_) if !looks_like_one(text) => return Ok(None),
        Err((line, problem)) => return Err(malformed(format!("line {line}: {problem}"))),
    };
    let root = document.root();
    let Some(list) = list_of_users(root)? else {
        return Ok(None);
    };
    if document.has_more {
        return Err(malformed(
            "it holds several YAML documents, of which kubectl reads the first alone".to_owned(),
        ));
    }
    let mut found: Vec<User> = Vec::new();
    for entry in list {
        if !entry.is_mapping() && !entry.is_null() {
            return Err(malformed(
                "an entry of its `users` is not a mapping".to_owned(),
            ));
        }
        let name = text_at(entry, "name", "the name of a user")
            .map_err(malformed)?
            .unwrap_or_default();
        if found.iter().any(|user| user.name == name) {
            return Err(malformed(format!(
                "its user `{}` is there twice, which kubectl refuses",
                name.escape_debug()
            )));
        }
        let proof = proof(entry.get("user"), name);
        let name = name.to_owned();
        found.push(User { name, proof });
    }
    Ok(Some(found))
}

/// The entries of `users`, if this is a kubeconfig.
fn list_of_users<'d, 'a>(root: Value<'d, 'a>) -> Result<Option<Vec<Value<'d, 'a>>>, Error> {
    if !root.is_mapping() {
        return Ok(None);
    }
    let text = |key| root.get(key).map(Value::text);
    let users = root.get("users");
    match text("kind") {
        Some(Ok(Some("Config"))) => {}
        // kubectl needs no kind; what has users and no kind is for kubectl.
        None | Some(Ok(None)) if users.is_some() => {}
        _ => return Ok(None),
    }
    match text("apiVersion") {
        None | Some(Ok(None | Some("v1" | ""))) => {}
        // Other programs have files of this kind too.
        _ if users.is_none() => return Ok(None),
        _ => return Err(malformed("its apiVersion is not `v1`".to_owned())),
    }
    match users {
        None => Ok(Some(Vec::new())),
        Some(users) if users.is_null() => Ok(Some(Vec::new())),
        Some(users) => match users.list() {
            Some(list) => Ok(Some(list.collect())),
            None => Err(malformed("its `users` are not a list".to_owned())),
        },
    }
}

/// What is no YAML, and meant to be a kubeconfig all the same.
fn looks_like_one(text: &str) -> bool {
    text.contains("client-certificate") || (text.contains("kind") && text.contains("users"))
}

fn proof(user: Option<Value<'_, '_>>, name: &str) -> Result<Proof, String> {
    let Some(user) = user.filter(|user| !user.is_null()) else {
        return Ok(Proof::Other(None));
    };
    let named = |key: &str| format!("`{key}` of user `{}`", name.escape_debug());
    if !user.is_mapping() {
        return Err(format!("{} is not a mapping", named("user")));
    }
    let field = |key: &str| -> Result<Option<&str>, String> {
        let found = text_at(user, key, &named(key))?;
        Ok(found.filter(|text| !text.is_empty()))
    };
    if let Some(data) = field("client-certificate-data")? {
        return decoded(data)
            .map(Proof::Certificate)
            .ok_or_else(|| format!("{} is not base64", named("client-certificate-data")));
    }
    if let Some(file) = field("client-certificate")? {
        return Ok(Proof::File(file.into()));
    }
    let other = OTHERS.iter().find(|(key, _)| {
        let value = user.get(key);
        value.is_some_and(|value| !value.is_null() && value.text() != Ok(Some("")))
    });
    Ok(Proof::Other(other.map(|(_, what)| *what)))
}

/// As Go's decoder, which passes over line ends and nothing else.
fn decoded(data: &str) -> Option<Vec<u8>> {
    let data = data.replace(['\n', '\r'], "");
    Base64::decode_vec(&data).ok()
}

fn text_at<'d>(mapping: Value<'d, '_>, key: &str, called: &str) -> Result<Option<&'d str>, String> {
    let not_text = |what: NotText| {
        format!("{called} is {what} to kubectl, which wants text: put it in quotes")
    };
    mapping
        .get(key)
        .map_or(Ok(None), |value| value.text().map_err(not_text))
}

fn malformed(problem: String) -> Error {
    Error::malformed("kubeconfig", problem)
}
