//! A way out of a network namespace, to named servers only.
//!
//! A computer in a namespace of its own has no network, and needs none but for packages. Its `/etc/hosts` gives each server
//! that it may reach a loopback address, where this listens inside and carries bytes to the server from outside. So no
//! rule, route or device of the host is touched, and names stay what certificates say.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A server, by name or address, and its port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Server {
    /// Its name or address.
    pub(crate) host: String,
    /// Its TCP port.
    pub(crate) port: u16,
}

/// Listens inside for as long as it lives.
pub(crate) struct Relay {
    stop: Arc<AtomicBool>,
}

/// The servers of all `http` and `https` addresses in `text`, whatever else it says.
pub(crate) fn servers(text: &str) -> BTreeSet<Server> {
    let mut found = BTreeSet::new();
    for (place, _) in text.match_indices("://") {
        let default = match text[..place]
            .rsplit(|c: char| !c.is_ascii_alphabetic())
            .next()
        {
            Some("http") => 80,
            Some("https") => 443,
            _ => continue,
        };
        let authority = text[place + 3..]
            .split(|c: char| c.is_whitespace() || "/\"';,|".contains(c))
            .next()
            .unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().unwrap_or(default)),
            None => (host, default),
        };
        if !host.is_empty() {
            found.insert(Server {
                host: host.to_owned(),
                port,
            });
        }
    }
    found
}

impl Relay {
    /// Listens inside the network namespace `namespace` (`/proc/<pid>/ns/net`) for each of `servers`; returns the lines for
    /// its `/etc/hosts`.
    ///
    /// # Panics
    ///
    /// When the namespace cannot be entered, or an address there cannot be listened on.
    pub(crate) fn start(namespace: &Path, servers: &BTreeSet<Server>) -> (Self, String) {
        let stop = Arc::new(AtomicBool::new(false));
        let mut hosts = String::new();
        let names: BTreeSet<&str> = servers.iter().map(|server| server.host.as_str()).collect();
        for (number, name) in (1u8..).zip(names) {
            // An address that is used as such must be one of the computer's own.
            let inside = name
                .parse()
                .unwrap_or(IpAddr::V4(Ipv4Addr::new(127, 77, 0, number)));
            if name.parse::<IpAddr>().is_err() {
                hosts += &format!("{inside} {name}\n");
            }
            for server in servers.iter().filter(|server| server.host == name) {
                let listener = listen(namespace, inside, server.port)
                    .unwrap_or_else(|error| panic!("{name}, port {}: {error}", server.port));
                let (server, stop) = (server.clone(), Arc::clone(&stop));
                std::thread::spawn(move || serve(&listener, &server, &stop));
            }
        }
        (Self { stop }, hosts)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A socket belongs to the namespace in which it was made, whoever uses it.
fn listen(namespace: &Path, address: IpAddr, port: u16) -> io::Result<TcpListener> {
    let namespace = File::open(namespace)?;
    std::thread::spawn(move || {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
        TcpListener::bind((address, port))
    })
    .join()
    .expect("no panic")
}

fn serve(listener: &TcpListener, server: &Server, stop: &AtomicBool) {
    listener.set_nonblocking(true).expect("a socket of ours");
    while !stop.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((inside, _)) => {
                let server = server.clone();
                std::thread::spawn(move || {
                    // Whoever dialled sees the connection end, and says so.
                    if let Err(error) = carry(inside, &server) {
                        println!("relay to {}: {error}", server.host);
                    }
                });
            }
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn carry(mut inside: TcpStream, server: &Server) -> io::Result<()> {
    inside.set_nonblocking(false)?;
    let mut outside = TcpStream::connect((server.host.as_str(), server.port))?;
    let (mut from, mut to) = (outside.try_clone()?, inside.try_clone()?);
    let back = std::thread::spawn(move || {
        let carried = io::copy(&mut from, &mut to);
        // The other side may have closed already.
        drop(to.shutdown(Shutdown::Write));
        carried
    });
    io::copy(&mut inside, &mut outside)?;
    drop(outside.shutdown(Shutdown::Write));
    back.join().expect("no panic").map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_of_any_text() {
        let text = "URIs: http://deb.debian.org/debian\nAcquire::http::Proxy \"http://me:word@10.0.0.5:3128/\";\n\
                    https://proxy.golang.org,direct file:///srv/debs cdrom://x";
        let found: Vec<String> = servers(text)
            .iter()
            .map(|server| format!("{} {}", server.host, server.port))
            .collect();
        assert_eq!(
            found,
            ["10.0.0.5 3128", "deb.debian.org 80", "proxy.golang.org 443"]
        );
    }
}
