//! Which engine the command asks.

use std::fmt;
use std::net::{IpAddr, TcpListener, ToSocketAddrs};

/// The socket that an engine of this computer listens on, by both its names.
const OWN_SOCKETS: [&str; 2] = ["unix:///var/run/docker.sock", "unix:///run/docker.sock"];

/// Where the command `docker` asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The context that says so; `default` where none was chosen.
    context: String,
    /// Such as `unix:///var/run/docker.sock`, `tcp://build:2376`, `ssh://me@build`.
    host: String,
}

impl Endpoint {
    /// The arguments that make the command print what [`Endpoint::parse`] reads.
    pub const QUESTION: [&str; 4] = [
        "context",
        "inspect",
        "--format",
        "{{.Name}} {{.Endpoints.docker.Host}}",
    ];

    /// Reads `NAME HOST`, where an empty `HOST` is this computer's own socket.
    pub fn parse(line: &str) -> Self {
        let (context, host) = line.trim().split_once(' ').unwrap_or(("default", ""));
        Self::of(context, host)
    }

    /// As a command that knows no contexts takes it: by `DOCKER_HOST`.
    pub fn of_environment() -> Self {
        Self::of("default", &std::env::var("DOCKER_HOST").unwrap_or_default())
    }

    fn of(context: &str, host: &str) -> Self {
        let host = if host.is_empty() {
            OWN_SOCKETS[0]
        } else {
            host
        };
        Self {
            context: context.to_owned(),
            host: host.to_owned(),
        }
    }

    /// Whether it is where an engine of this computer listens by itself.
    pub fn is_own(&self) -> bool {
        OWN_SOCKETS.contains(&self.host.as_str())
    }

    /// Whether it is a socket in this computer's file system.
    pub fn is_socket(&self) -> bool {
        self.host.starts_with("unix:")
    }

    /// What leads back to this computer's own engine.
    pub fn to_leave(&self) -> &'static str {
        if self.context == "default" {
            "`unset DOCKER_HOST`"
        } else {
            "`docker context use default`, with `DOCKER_CONTEXT` unset"
        }
    }

    /// The other computer that it names, if it does.
    pub fn other_computer(&self) -> Option<&str> {
        let (scheme, rest) = self.host.split_once("://")?;
        if matches!(scheme, "unix" | "npipe" | "fd") {
            return None;
        }
        let authority = rest.split('/').next()?;
        let host = authority.rsplit('@').next()?;
        let name = match host.strip_prefix('[') {
            Some(rest) => rest.split(']').next()?,
            None => host.split(':').next()?,
        };
        (!name.is_empty() && !is_this_computer(name)).then_some(name)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.host)?;
        if self.context != "default" {
            write!(f, " (context `{}`)", self.context)?;
        }
        Ok(())
    }
}

/// Whether `name` is an address of this computer: one that can be listened on here.
fn is_this_computer(name: &str) -> bool {
    let addresses: Vec<IpAddr> = match name.parse() {
        Ok(address) => vec![address],
        Err(_) => (name, 0)
            .to_socket_addrs()
            .map(|found| found.map(|it| it.ip()).collect())
            .unwrap_or_default(),
    };
    addresses
        .iter()
        .any(|address| address.is_loopback() || TcpListener::bind((*address, 0)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        // Line, own, socket, another computer.
        for (line, own, socket, other) in [
            ("", true, true, None),
            ("default ", true, true, None),
            ("default unix:///run/docker.sock\n", true, true, None),
            ("mine unix:///run/other/docker.sock", false, true, None),
            ("default tcp://127.0.0.1:2375", false, false, None),
            ("default tcp://[::1]:2375", false, false, None),
            (
                "default tcp://192.0.2.7:2375",
                false,
                false,
                Some("192.0.2.7"),
            ),
            ("build ssh://me@192.0.2.7", false, false, Some("192.0.2.7")),
            (
                "build tcp://[2001:db8::7]:2375/x",
                false,
                false,
                Some("2001:db8::7"),
            ),
            ("default fd://", false, false, None),
        ] {
            let endpoint = Endpoint::parse(line);
            assert_eq!(
                (
                    endpoint.is_own(),
                    endpoint.is_socket(),
                    endpoint.other_computer()
                ),
                (own, socket, other),
                "{line}"
            );
        }
    }

    #[test]
    fn a_chosen_context_is_left_otherwise_than_a_variable() {
        let chosen = Endpoint::parse("build ssh://me@build");
        assert_eq!(chosen.to_string(), "`ssh://me@build` (context `build`)");
        assert!(chosen.to_leave().contains("docker context use default"));
        let set = Endpoint::parse("default tcp://build:2376");
        assert_eq!(set.to_string(), "`tcp://build:2376`");
        assert_eq!(set.to_leave(), "`unset DOCKER_HOST`");
    }
}
