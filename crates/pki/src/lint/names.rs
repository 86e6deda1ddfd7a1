//! Which names an authority's constraints let pass (RFC 5280 4.2.1.10), as the strictest of OpenSSL, Go and webpki has it.
//!
//! They agree on DNS names and addresses, but for two borders: a wildcard reaches into an excluded domain for Go and
//! webpki, and a common name that looks like a DNS name is one for OpenSSL. Of URIs and mail addresses, webpki knows only
//! that there is a constraint; of directory names, only OpenSSL knows more.

use std::net::IpAddr;

use x509_cert::ext::pkix::NameConstraints;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::constraints::name::GeneralSubtree;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::{Name, RdnSequence};

use crate::{Certificate, constraints, profile, subject};

/// Names that are not permitted, or excluded.
pub(super) const REFUSED: &str = "name-constraint";
/// Names of a kind that is constrained and that rustls does not read.
pub(super) const UNREAD: &str = "name-constraint-unread";

/// A name that constraints do not let pass.
pub(super) struct Problem {
    pub(super) rule: &'static str,
    pub(super) message: String,
}

/// A name as constraints see it.
enum Presented<'a> {
    Dns(String),
    Ip(&'a [u8]),
    Uri(&'a str),
    Mail(String),
    Directory(&'a Name),
    /// Nobody reads constraints of these.
    Other(&'static str),
}

/// Whether a subtree permits or excludes: the borders are drawn so that less is let pass.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Permitted,
    Excluded,
}

/// What the authority `issuer`, whose constraints these are, must not vouch for in `certificate`.
pub(super) fn check(
    constraints: &NameConstraints,
    is_critical: bool,
    issuer: &Certificate,
    certificate: &Certificate,
    is_leaf: bool,
) -> Vec<Problem> {
    let by = issuer.subject_shown();
    let mut problems = Vec::new();
    let all = bases(&constraints.permitted_subtrees).chain(bases(&constraints.excluded_subtrees));
    for base in all {
        let refuse = match base {
            GeneralName::DirectoryName(_) => true,
            // Go cannot tell what such a constraint wants, and if it is critical, it must know.
            GeneralName::OtherName(_)
            | GeneralName::EdiPartyName(_)
            | GeneralName::RegisteredId(_) => is_critical,
            _ => false,
        };
        if refuse {
            let message = format!(
                "`{by}` above it is limited in {}, which Go and rustls do not read: they refuse all that is below",
                kind(base)
            );
            problems.push(Problem {
                rule: REFUSED,
                message,
            });
            return problems;
        }
    }
    let names = profile::find::<SubjectAltName>(certificate.extensions());
    let names: &[GeneralName] = names.as_ref().map_or(&[], |names| &names.0[..]);
    let mut presented: Vec<Presented<'_>> = names.iter().map(Presented::of).collect();
    let has_dns = presented
        .iter()
        .any(|name| matches!(name, Presented::Dns(_)));
    if certificate.subject_attribute_count() > 0 {
        presented.push(Presented::Directory(certificate.subject()));
    }
    let mail = subject::email_addresses(certificate.subject());
    presented.extend(mail.into_iter().map(Presented::Mail));
    if is_leaf && !has_dns {
        let names = certificate.common_names();
        let names = names.into_iter().filter(|name| looks_like_dns(name));
        presented.extend(names.map(Presented::Dns));
    }
    for name in &presented {
        if let Some(problem) = judge(constraints, name, &by) {
            problems.push(problem);
        }
    }
    problems
}

fn judge(constraints: &NameConstraints, name: &Presented<'_>, by: &str) -> Option<Problem> {
    let refused = |what: String| {
        Some(Problem {
            rule: REFUSED,
            message: what,
        })
    };
    if let Presented::Uri(uri) = name {
        // Go wants a domain in every URI below any constraint.
        if host(uri).is_none_or(|host| host.is_empty() || is_address(host)) {
            let message = format!(
                "has the URI `{uri}`, whose host is no domain, below the name constraints of `{by}`"
            );
            return refused(message);
        }
    }
    let of_kind = |subtrees, role| -> Vec<bool> {
        bases(subtrees)
            .filter_map(|base| covers(base, name, role))
            .collect()
    };
    let permitted = of_kind(&constraints.permitted_subtrees, Role::Permitted);
    let excluded = of_kind(&constraints.excluded_subtrees, Role::Excluded);
    let shown = name.shown();
    if excluded.contains(&true) {
        return refused(format!("{shown} is excluded by `{by}` above it"));
    }
    if !permitted.is_empty() && !permitted.contains(&true) {
        return refused(format!(
            "{shown} is not among what `{by}` above it may vouch for"
        ));
    }
    let is_unread = matches!(name, Presented::Uri(_) | Presented::Mail(_));
    if is_unread && !(permitted.is_empty() && excluded.is_empty()) {
        return Some(Problem {
            rule: UNREAD,
            message: format!(
                "{shown} is below constraints of its kind, which rustls does not read and refuses (`{by}` above it)"
            ),
        });
    }
    None
}

fn bases(subtrees: &Option<Vec<GeneralSubtree>>) -> impl Iterator<Item = &GeneralName> {
    subtrees.iter().flatten().map(|subtree| &subtree.base)
}

fn kind(name: &GeneralName) -> &'static str {
    match name {
        GeneralName::OtherName(_) => "other names",
        GeneralName::Rfc822Name(_) => "mail addresses",
        GeneralName::DnsName(_) => "DNS names",
        GeneralName::DirectoryName(_) => "directory names",
        GeneralName::EdiPartyName(_) => "EDI party names",
        GeneralName::UniformResourceIdentifier(_) => "URIs",
        GeneralName::IpAddress(_) => "addresses",
        GeneralName::RegisteredId(_) => "registered identifiers",
    }
}

impl<'a> Presented<'a> {
    fn of(name: &'a GeneralName) -> Self {
        match name {
            GeneralName::DnsName(name) => Self::Dns(name.as_str().to_owned()),
            GeneralName::IpAddress(octets) => Self::Ip(octets.as_bytes()),
            GeneralName::UniformResourceIdentifier(uri) => Self::Uri(uri.as_str()),
            GeneralName::Rfc822Name(mail) => Self::Mail(mail.as_str().to_owned()),
            GeneralName::DirectoryName(name) => Self::Directory(name),
            other => Self::Other(kind(other)),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Dns(name) => format!("DNS name `{}`", name.escape_debug()),
            Self::Ip(octets) => match profile::ip_of(octets) {
                Some(address) => format!("address `{address}`"),
                None => "an address of odd length".to_owned(),
            },
            Self::Uri(uri) => format!("URI `{}`", uri.escape_debug()),
            Self::Mail(mail) => format!("mail address `{}`", mail.escape_debug()),
            Self::Directory(name) => format!("`{}`", name.to_string().escape_debug()),
            Self::Other(kind) => format!("a name of the kind {kind}"),
        }
    }
}

/// Whether `base` covers `name`; `None` when it is of another kind.
fn covers(base: &GeneralName, name: &Presented<'_>, role: Role) -> Option<bool> {
    match (base, name) {
        (GeneralName::DnsName(base), Presented::Dns(name)) => {
            Some(covers_dns(base.as_str(), name, role))
        }
        (GeneralName::IpAddress(base), Presented::Ip(octets)) => {
            Some(covers_address(base.as_bytes(), octets))
        }
        (GeneralName::UniformResourceIdentifier(base), Presented::Uri(uri)) => {
            Some(host(uri).is_some_and(|host| covers_host(base.as_str(), host, role)))
        }
        (GeneralName::Rfc822Name(base), Presented::Mail(mail)) => {
            Some(covers_mail(base.as_str(), mail, role))
        }
        (GeneralName::DirectoryName(base), Presented::Directory(name)) => {
            let (base, name): (&RdnSequence, &RdnSequence) = (base.as_ref(), name.as_ref());
            let same = base
                .iter()
                .zip(name.iter())
                .all(|(one, other)| one == other);
            Some(base.len() <= name.len() && same)
        }
        // Of these, nobody knows what a constraint means.
        (
            GeneralName::OtherName(_) | GeneralName::EdiPartyName(_) | GeneralName::RegisteredId(_),
            Presented::Other(presented),
        ) if kind(base) == *presented => Some(role == Role::Excluded),
        _ => None,
    }
}

fn covers_dns(base: &str, name: &str, role: Role) -> bool {
    let (base, name) = (base.to_ascii_lowercase(), name.to_ascii_lowercase());
    if is_below(&base, &name) {
        return true;
    }
    // `*.example.com` may be `secret.example.com`.
    let beside = base.split_once('.').map(|(_, parent)| parent);
    role == Role::Excluded
        && name
            .strip_prefix("*.")
            .is_some_and(|parent| beside == Some(parent))
}

/// Whether `name` is `base` or below it; with a leading dot, only what is below.
fn is_below(base: &str, name: &str) -> bool {
    let Some(rest) = name.strip_suffix(base) else {
        return false;
    };
    if base.is_empty() {
        return true;
    }
    match base.starts_with('.') {
        true => !rest.is_empty(),
        false => rest.is_empty() || rest.ends_with('.'),
    }
}

/// Hosts of URIs and mail addresses: this very host (RFC 5280), or, as Go has it, those below too.
fn covers_host(base: &str, host: &str, role: Role) -> bool {
    let (base, host) = (base.to_ascii_lowercase(), host.to_ascii_lowercase());
    if base.starts_with('.') || role == Role::Excluded || base.is_empty() {
        return is_below(&base, &host);
    }
    base == host
}

fn covers_mail(base: &str, mail: &str, role: Role) -> bool {
    let Some((local, host)) = mail.rsplit_once('@') else {
        return role == Role::Excluded;
    };
    match base.rsplit_once('@') {
        Some((base_local, base_host)) => {
            base_local == local && base_host.eq_ignore_ascii_case(host)
        }
        None => covers_host(base, host, role),
    }
}

fn covers_address(base: &[u8], octets: &[u8]) -> bool {
    // Addresses of the other version are of this kind too, and not covered.
    if base.len() != octets.len() * 2 {
        return false;
    }
    let (network, mask) = base.split_at(octets.len());
    let mut pairs = octets.iter().zip(network).zip(mask);
    pairs.all(|((octet, network), mask)| octet & mask == network & mask)
}

/// The host of a URI: what stands after `//`, without user and port.
fn host(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let authority = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    if authority.starts_with('[') {
        return Some(authority.split_inclusive(']').next().unwrap_or(authority));
    }
    Some(authority.split(':').next().unwrap_or(authority))
}

fn is_address(host: &str) -> bool {
    host.starts_with('[') || host.parse::<IpAddr>().is_ok()
}

/// As OpenSSL has it: two labels at least, of letters, digits, hyphens and underscores.
fn looks_like_dns(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(allowed)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.contains('.') && name.split('.').all(label)
}

/// What is wrong with the constraints themselves.
pub(super) fn faults(constraints: &NameConstraints) -> Vec<String> {
    let mut faults = Vec::new();
    let lists = [
        &constraints.permitted_subtrees,
        &constraints.excluded_subtrees,
    ];
    if lists
        .iter()
        .all(|list| list.iter().flatten().next().is_none())
    {
        faults.push("its name constraints are empty, which Go refuses".to_owned());
    }
    for subtree in lists.into_iter().flatten().flatten() {
        if subtree.minimum != 0 || subtree.maximum.is_some() {
            let fault = "its name constraints count distances, which OpenSSL and rustls refuse";
            faults.push(fault.to_owned());
        }
        let (what, shown) = match &subtree.base {
            GeneralName::IpAddress(octets) => {
                let octets = octets.as_bytes();
                let is_network = matches!(octets.len(), 8 | 32)
                    && constraints::prefix_length(&octets[octets.len() / 2..]).is_some();
                if is_network {
                    continue;
                }
                ("network", crate::hex::hex(octets))
            }
            GeneralName::DnsName(name) if !is_domain(name.as_str()) => {
                ("domain", name.as_str().to_owned())
            }
            GeneralName::UniformResourceIdentifier(host)
                if !is_domain(host.as_str()) || is_address(host.as_str()) =>
            {
                ("URI host", host.as_str().to_owned())
            }
            _ => continue,
        };
        let shown = shown.escape_debug();
        faults.push(format!(
            "its name constraints hold `{shown}`, which is no {what}"
        ));
    }
    faults
}

/// Whether Go and webpki take it for the base of a constraint.
fn is_domain(base: &str) -> bool {
    let base = base.strip_prefix('.').unwrap_or(base);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    base.is_empty()
        || base
            .split('.')
            .all(|label| (1..=63).contains(&label.len()) && label.bytes().all(allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dns_names() {
        for (base, name, permitted, excluded) in [
            ("example.com", "example.com", true, true),
            ("Example.com", "a.EXAMPLE.com", true, true),
            ("example.com", "evilexample.com", false, false),
            ("example.com", "example.org", false, false),
            (".example.com", "example.com", false, false),
            (".example.com", "a.example.com", true, true),
            ("example.com", "*.example.com", true, true),
            ("secret.example.com", "*.example.com", false, true),
            ("a.secret.example.com", "*.example.com", false, false),
            ("", "anything", true, true),
        ] {
            let covers = |role| covers_dns(base, name, role);
            assert_eq!(covers(Role::Permitted), permitted, "{base} {name}");
            assert_eq!(covers(Role::Excluded), excluded, "{base} {name}");
        }
    }

    #[test]
    fn hosts_of_uris_and_mail_addresses() {
        for (uri, found) in [
            ("spiffe://example.com/a", Some("example.com")),
            ("https://user@host:8443/x?y#z", Some("host")),
            ("https://[::1]:443/", Some("[::1]")),
            ("urn:x", None),
            ("file:///etc", Some("")),
        ] {
            assert_eq!(host(uri), found, "{uri}");
        }
        for (base, host, permitted, excluded) in [
            ("example.com", "example.com", true, true),
            ("example.com", "a.example.com", false, true),
            (".example.com", "a.example.com", true, true),
            (".example.com", "example.com", false, false),
        ] {
            let covers = |role| covers_host(base, host, role);
            assert_eq!(covers(Role::Permitted), permitted, "{base} {host}");
            assert_eq!(covers(Role::Excluded), excluded, "{base} {host}");
        }
        assert!(covers_mail(
            "a@example.com",
            "a@Example.com",
            Role::Permitted
        ));
        assert!(!covers_mail(
            "a@example.com",
            "A@example.com",
            Role::Permitted
        ));
        assert!(!covers_mail("example.com", "no address", Role::Permitted));
    }

    #[test]
    fn addresses() {
        let base = [10, 0, 0, 0, 255, 0, 0, 0];
        assert!(covers_address(&base, &[10, 1, 2, 3]));
        assert!(!covers_address(&base, &[11, 1, 2, 3]));
        assert!(!covers_address(&base, &[0; 16]));
    }

    #[test]
    fn names_that_look_like_dns() {
        for (name, is) in [
            ("a.b", true),
            ("kube-apiserver-etcd-client", false),
            ("system:node:one.example.com", false),
            ("a_b.c-d", true),
            ("a..b", false),
            ("-a.b", false),
        ] {
            assert_eq!(looks_like_dns(name), is, "{name}");
        }
    }
}
