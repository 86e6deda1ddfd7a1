//! What may not be shown: keys and tokens, wherever they stand in a report, a support archive or a message.
//!
//! Three nets, because each has holes: the secrets of the lab are known and struck out as they are; what has the shape of a
//! key or a token is struck out whoever it belongs to; and so is what stands behind a word such as `password:`.

use std::cmp::Reverse;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// What stands in the place of a secret.
pub const STRUCK_OUT: &str = "[secret]";

/// The shortest secret that is looked for: shorter ones stand in other words.
const SHORTEST: usize = 8;

/// The shortest line of a secret of several lines, likewise: its last one may be a few characters.
const SHORTEST_LINE: usize = 12;

/// The shortest text behind one of [`BEFORE`] that may be a secret: what follows may also be empty, or a word.
const SHORTEST_AFTER: usize = 12;

/// What stands before a secret on its line, in lower case.
const BEFORE: [&str; 7] = [
    "client-key-data:",
    "token:",
    "auth_pass",
    "password:",
    "authorization:",
    "certificate-key:",
    "secret:",
];

/// The shortest run of base64 that may be a key.
const BASE64: usize = 40;

/// How long a key in hex is: 32 bytes.
const HEX: usize = 64;

/// The two parts of a bootstrap token: `abcdef.0123456789abcdef`.
const TOKEN: [usize; 2] = [6, 16];

/// Secrets that are known, to be struck out wherever they stand.
#[derive(Default, Clone, PartialEq, Eq)]
pub struct KnownSecrets {
    /// The longest first: one may be a part of another.
    texts: Vec<String>,
}

impl KnownSecrets {
    /// Those that files of secrets hold: as they are, line by line as they may be quoted in part, with a key's lines joined,
    /// and in base64 as kubeconfigs have them.
    pub fn of_files<C: AsRef<[u8]>>(contents: impl IntoIterator<Item = C>) -> Self {
        let mut texts = Vec::new();
        for content in contents {
            let content = content.as_ref();
            let text = String::from_utf8_lossy(content);
            texts.push(STANDARD.encode(content));
            let lines = text.lines().map(str::trim);
            let lines: Vec<&str> = lines.filter(|line| !line.starts_with("-----")).collect();
            texts.push(lines.concat());
            let long = lines.iter().filter(|line| line.len() >= SHORTEST_LINE);
            texts.extend(long.map(|line| (*line).to_owned()));
        }
        texts.retain(|text| text.len() >= SHORTEST);
        texts.sort_by(|one, other| (Reverse(one.len()), one).cmp(&(Reverse(other.len()), other)));
        texts.dedup();
        Self { texts }
    }
}

impl fmt::Debug for KnownSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KnownSecrets({})", self.texts.len())
    }
}

/// Strikes secrets out of every text in `value`.
pub fn strike(value: &mut Value, known: &KnownSecrets) {
    match value {
        Value::String(text) => *text = struck(text, known),
        Value::Array(values) => values.iter_mut().for_each(|value| strike(value, known)),
        Value::Object(fields) => fields.values_mut().for_each(|value| strike(value, known)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// `text` without what is a secret of the lab, or may be somebody's.
pub fn struck(text: &str, known: &KnownSecrets) -> String {
    let mut text = text.to_owned();
    for secret in &known.texts {
        if text.contains(secret.as_str()) {
            text = text.replace(secret.as_str(), STRUCK_OUT);
        }
    }
    let text = without_named(&without_blocks(&text));
    let text = runs(&text, is_base64, |_, run| {
        looks_like_base64_key(run).then(|| STRUCK_OUT.to_owned())
    });
    let text = runs(
        &text,
        |one| one.is_ascii_alphanumeric() || "-_.".contains(one),
        |_, run| is_web_token(run).then(|| STRUCK_OUT.to_owned()),
    );
    let text = runs(
        &text,
        |one| one.is_ascii_alphanumeric(),
        |before, run| is_hex_key(before, run).then(|| STRUCK_OUT.to_owned()),
    );
    runs(
        &text,
        |one| one.is_ascii_alphanumeric() || one == '.',
        |_, run| is_token(run).then(|| STRUCK_OUT.to_owned()),
    )
}

/// `text` with stars for what may be a key, such as one that was saved under a lab's name. As long as before, so that places
/// in it stay what they are.
pub fn starred(text: &str) -> String {
    runs(text, is_base64, |_, run| {
        looks_like_base64_key(run).then(|| "*".repeat(run.len()))
    })
}

fn is_base64(one: char) -> bool {
    one.is_ascii_alphanumeric() || "+/=".contains(one)
}

/// Keys have letters of both cases and digits; words, paths and digests do not have all three in so long a run.
fn looks_like_base64_key(run: &str) -> bool {
    let kinds = [
        char::is_ascii_uppercase,
        char::is_ascii_lowercase,
        char::is_ascii_digit,
    ];
    let has = |kind: &fn(&char) -> bool| run.contains(|one: char| kind(&one));
    run.len() >= BASE64 && kinds.iter().all(has)
}

/// Digests, which say what they are, are no secrets.
fn is_hex_key(before: &str, run: &str) -> bool {
    let is_digest = ["sha256:", "sha512:", "@"]
        .iter()
        .any(|prefix| before.ends_with(prefix));
    run.len() >= HEX && !is_digest && run.chars().all(|one| one.is_ascii_hexdigit())
}

/// A JSON Web Token, as service accounts have: its first part is JSON, `{"`, in base64.
fn is_web_token(run: &str) -> bool {
    run.starts_with("eyJ") && run.contains('.') && run.len() >= BASE64
}

fn is_token(run: &str) -> bool {
    let parts: Vec<&str> = run.trim_matches('.').split('.').collect();
    let is_part = |part: &str| {
        part.chars()
            .all(|one| one.is_ascii_lowercase() || one.is_ascii_digit())
    };
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    lengths == TOKEN && parts.iter().all(|part| is_part(part))
}

/// `text` without private keys in PEM, also where they were cut off or their lines were joined.
fn without_blocks(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("-----BEGIN ") {
        let (before, block) = rest.split_at(start);
        let label = &block["-----BEGIN ".len()..];
        let label = label.split("-----").next().unwrap_or_default();
        kept.push_str(before);
        if !label.contains("PRIVATE KEY") {
            kept.push_str("-----BEGIN ");
            rest = &block["-----BEGIN ".len()..];
            continue;
        }
        kept.push_str(STRUCK_OUT);
        let end = format!("-----END {label}-----");
        rest = match block.find(&end) {
            Some(place) => &block[place + end.len()..],
            None => "",
        };
    }
    kept.push_str(rest);
    kept
}

/// `text` without what stands behind a word that names a secret, to the end of its line; a path is none.
fn without_named(text: &str) -> String {
    let lines = text.split_inclusive('\n').map(|line| {
        let lower = line.to_ascii_lowercase();
        let ends = BEFORE
            .iter()
            .filter_map(|word| Some(lower.find(word)? + word.len()));
        let Some((named, rest)) = ends.min().map(|end| line.split_at(end)) else {
            return line.to_owned();
        };
        let said = rest.trim();
        if said.len() < SHORTEST_AFTER || said.contains('/') {
            return line.to_owned();
        }
        let end = if line.ends_with('\n') { "\n" } else { "" };
        format!("{named} {STRUCK_OUT}{end}")
    });
    lines.collect()
}

/// `text`, with each run of characters that `belongs` names as `instead` says; it is given what stands before the run.
fn runs(
    text: &str,
    belongs: impl Fn(char) -> bool,
    instead: impl Fn(&str, &str) -> Option<String>,
) -> String {
    let mut made = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(&belongs) {
        let (before, run) = rest.split_at(start);
        let length = run.find(|one| !belongs(one)).unwrap_or(run.len());
        let (run, after) = run.split_at(length);
        made.push_str(before);
        let replaced = instead(&made, run);
        made.push_str(replaced.as_deref().unwrap_or(run));
        rest = after;
    }
    made.push_str(rest);
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE64_KEY: &str = "MHcCAQEEIIrYSSNQFaA2Hwf1duRSxKtLYX5CB04fSeQ6tF1aY";

    fn struck_out(text: &str) -> String {
        struck(text, &KnownSecrets::of_files(["k9Lr2xQp\n"]))
    }

    #[test]
    fn keys_and_tokens_are_struck_out() {
        let pem = format!(
            "a -----BEGIN EC PRIVATE KEY-----\\n{BASE64_KEY}\\n-----END EC PRIVATE KEY----- b"
        );
        assert_eq!(struck_out(&pem), "a [secret] b");
        let cut = format!("a -----BEGIN PRIVATE KEY-----\n{BASE64_KEY}");
        assert_eq!(struck_out(&cut), "a [secret]");
        assert_eq!(struck_out(&format!("key {BASE64_KEY}.")), "key [secret].");
        assert_eq!(
            struck_out("join --token abcdef.0123456789abcdef now"),
            "join --token [secret] now"
        );
        assert_eq!(struck_out("auth_pass k9Lr2xQp;"), "auth_pass [secret];");
        let web = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2ln-bmF0dXJl_Zg";
        assert_eq!(struck_out(&format!("Bearer {web}")), "Bearer [secret]");
        let hex = "0f".repeat(32);
        assert_eq!(struck_out(&format!("key={hex}")), "key=[secret]");
    }

    #[test]
    fn a_known_secret_is_struck_out_in_each_form() {
        let file = format!("-----BEGIN EC PRIVATE KEY-----\nshort-line-one\n{BASE64_KEY}\n");
        let known = KnownSecrets::of_files([&file]);
        assert_eq!(struck("a short-line-one b", &known), "a [secret] b");
        let joined = format!("short-line-one{BASE64_KEY}");
        assert_eq!(struck(&joined, &known), STRUCK_OUT);
        assert_eq!(struck(&STANDARD.encode(&file), &known), STRUCK_OUT);
        // An empty file is in every text.
        assert_eq!(struck("plain", &KnownSecrets::of_files([""])), "plain");
    }

    #[test]
    fn what_stands_behind_a_word_for_a_secret_is_struck_out() {
        assert_eq!(
            struck_out("a\nPassword: correct-horse-battery\nb\n"),
            "a\nPassword: [secret]\nb\n"
        );
        for text in ["token: none\n", "token: /etc/caravan/token-of-etcd\n"] {
            assert_eq!(struck_out(text), text);
        }
    }

    #[test]
    fn what_is_none_stays() {
        for text in [
            "etcdone: the server refused with the TLS alert CertificateRequired",
            "no connection (curl 7)",
            "caravan-machine:0123456789ab",
            ".lab/ha/drills/20261129T120000Z-etcd-leader-crash.jsonl",
            "etcd.service: exited 192.168.29.61",
            "kubelet v1.36.3 on workerone.example.com",
            "-----BEGIN CERTIFICATE-----",
            "abcdef.0123456789abcde",
        ] {
            assert_eq!(struck_out(text), text);
        }
        let digest = format!("image sha256:{}", "0f".repeat(32));
        assert_eq!(struck_out(&digest), digest);
    }

    #[test]
    fn stars_keep_the_length() {
        let text = format!("key = \"{BASE64_KEY}\"");
        let starred = starred(&text);
        assert_eq!(starred.len(), text.len());
        assert!(!starred.contains(BASE64_KEY));
    }
}
