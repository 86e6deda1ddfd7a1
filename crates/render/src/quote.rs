//! What keeps a value whole in each kind of file: whatever the lab calls its machines, a file says it as written.
//!
//! A template quotes, because its reader sees the quotes there; a value is escaped for the quotes it stands in. A test
//! refuses a template that has a value without them.

use crate::group;

/// How values stand in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quotes {
    /// Between double quotes, with the escapes that YAML, JSON and TOML share: without them YAML reads `1e3` as a number
    /// and `no` as false.
    Json,
    /// Between double quotes that a shell and systemd's `EnvironmentFile` read alike.
    Shell,
    /// Between double quotes of Ruby, where `#{...}` would be run.
    Ruby,
    /// As they are, in files of words: only characters that no such file reads as anything else.
    None,
}

impl Quotes {
    /// Returns how values stand in what a template makes.
    pub(crate) fn of(template: &str) -> Quotes {
        let path = template.strip_suffix(".hbs").unwrap_or(template);
        let name = path.rsplit('/').next().unwrap_or(path);
        let end = name.rsplit('.').next().unwrap_or(name);
        match (name, end) {
            (_, "yaml" | "conflist" | "curl" | "toml") => Quotes::Json,
            // Kubeconfigs are YAML.
            ("kubelet.conf" | "discovery.conf", _) => Quotes::Json,
            (_, "env") => Quotes::Shell,
            _ if template == group::TEMPLATE_NAME => Quotes::Ruby,
            _ => Quotes::None,
        }
    }

    /// Returns what escapes a value.
    pub(crate) fn escape(self) -> fn(&str) -> String {
        match self {
            Quotes::Json => json,
            Quotes::Shell => shell,
            Quotes::Ruby => ruby,
            Quotes::None => bare,
        }
    }
}

/// Stands in the place of a value that a file of words cannot hold; no file has it otherwise.
pub(crate) const UNFIT: char = '\0';

fn json(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for char in value.chars() {
        match char {
            '"' | '\\' => escaped.extend(['\\', char]),
            // Control characters, and those that YAML takes for the end of a line or for none of its own.
            '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => {
                escaped += &format!("\\u{:04x}", u32::from(char));
            }
            _ => escaped.push(char),
        }
    }
    escaped
}

fn shell(value: &str) -> String {
    with_backslashes(value, |char| matches!(char, '"' | '\\' | '$' | '`'))
}

fn ruby(value: &str) -> String {
    with_backslashes(value, |char| matches!(char, '"' | '\\' | '#'))
}

fn with_backslashes(value: &str, special: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(value.len());
    for char in value.chars() {
        if special(char) {
            escaped.push('\\');
        }
        escaped.push(char);
    }
    escaped
}

fn bare(value: &str) -> String {
    // Neither comment nor quote nor variable nor specifier in nft, HAProxy, Keepalived, systemd, hosts, resolv.conf or a
    // comment of a shell script. Some values are several words; no name of a lab has a blank.
    let plain = |char: char| char.is_ascii_alphanumeric() || " -._/:,=".contains(char);
    if value.chars().all(plain) {
        value.to_owned()
    } else {
        UNFIT.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every character that some format may take for its own.
    fn all() -> String {
        let ascii = (0..=0x7f_u8).map(char::from);
        ascii
            .chain([
                '\u{85}', '\u{a0}', 'é', '\u{2028}', '\u{2029}', '\u{feff}', '𝄞',
            ])
            .collect()
    }

    #[test]
    fn json_reads_back_what_was_escaped() {
        let text = format!("\"{}\"", json(&all()));
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), all());
        // YAML ends lines at more characters than JSON; TOML has no control characters at all.
        assert!(
            text.chars()
                .all(|char| !char.is_control() && char != '\u{2028}')
        );
        let toml: toml::Table = toml::from_str(&format!("x = {text}")).unwrap();
        assert_eq!(toml["x"].as_str(), Some(all().as_str()));
    }

    #[test]
    fn shells_and_ruby_run_nothing() {
        assert_eq!(shell("a\"`b`$(c)\\"), "a\\\"\\`b\\`\\$(c)\\\\");
        assert_eq!(ruby("a\"#{b}#$c\\"), "a\\\"\\#{b}\\#$c\\\\");
    }

    #[test]
    fn each_kind_of_file_is_known_by_its_name() {
        for (template, quotes) in [
            ("etc/kubernetes/caravan/kubeadm-init.yaml.hbs", Quotes::Json),
            ("etc/kubernetes/kubelet.conf.hbs", Quotes::Json),
            ("etc/cni/net.d/10-caravan.conflist.hbs", Quotes::Json),
            ("etc/caravan/machine.env.hbs", Quotes::Shell),
            ("etc/haproxy/haproxy.cfg.hbs", Quotes::None),
            ("Vagrantfile.hbs", Quotes::Ruby),
        ] {
            assert_eq!(Quotes::of(template), quotes, "{template}");
        }
    }
}
