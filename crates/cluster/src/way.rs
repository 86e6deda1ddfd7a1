//! How this computer gets to the lab's addresses: straight, where it is on the lab's network, else through the computers of
//! the lab's servers, which are.
//!
//! TLS goes through the tunnel whole: the keys of this computer stay here, and what a server shows is judged here.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use caravan_lab::{Lab, Machine, Role, ports};
use caravan_process::SshComputer;
use caravan_vagrant::ssh::Forward;

use crate::drill::priority;

mod transport;

pub(crate) use transport::WayConnector;

/// The way to the lab's addresses.
#[derive(Clone, Default)]
pub struct NetworkWay {
    tunnels: Option<Arc<Tunnels>>,
}

/// Ways through other computers, each opened once.
struct Tunnels {
    computers: Vec<Tunnel>,
    /// The computer, by the address of a machine that is on it.
    nearest: BTreeMap<Ipv4Addr, usize>,
    /// What is asked of the lab's addresses, as ssh takes it.
    targets: Vec<String>,
}

/// A computer, and the ways through it that were needed so far, each to some targets.
struct Tunnel {
    computer: SshComputer,
    open: Mutex<Vec<Forward>>,
}

impl NetworkWay {
    /// The way by `through`, the computers of servers by the servers' names; straight where there are none.
    pub fn of(lab: &Lab, through: &BTreeMap<String, SshComputer>) -> Self {
        if through.is_empty() {
            return Self::default();
        }
        let mut computers: Vec<Tunnel> = Vec::new();
        let mut nearest = BTreeMap::new();
        for machine in lab.machines() {
            let Some(computer) = through.get(&machine.server) else {
                continue;
            };
            let place = computers.iter().position(|it| it.computer == *computer);
            let place = place.unwrap_or_else(|| {
                computers.push(Tunnel {
                    computer: computer.clone(),
                    open: Mutex::default(),
                });
                computers.len() - 1
            });
            nearest.insert(machine.ip, place);
        }
        Self {
            tunnels: Some(Arc::new(Tunnels {
                computers,
                nearest,
                targets: targets(lab),
            })),
        }
    }

    /// Whether this computer reaches the lab's addresses itself.
    pub fn is_straight(&self) -> bool {
        self.tunnels.is_none()
    }

    /// Connects; straight, that may take up to `limit`.
    ///
    /// # Errors
    ///
    /// That of the operating system, or what ssh says. Through another computer, that nobody listens there shows only when the
    /// first bytes are read.
    pub(crate) fn connect(
        &self,
        address: SocketAddrV4,
        limit: Duration,
    ) -> io::Result<WayConnection> {
        match &self.tunnels {
            None => {
                let stream = TcpStream::connect_timeout(&SocketAddr::V4(address), limit)?;
                // The end of a handshake and the request after it are two small writes: the second would wait for the first one's
                // acknowledgement, which the other side holds back for 40 ms.
                stream.set_nodelay(true)?;
                Ok(WayConnection::Straight(stream))
            }
            Some(tunnels) => tunnels.connect(address).map(WayConnection::Tunnel),
        }
    }
}

impl fmt::Debug for NetworkWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let through = self.tunnels.as_ref().map(|tunnels| {
            let names = tunnels.computers.iter();
            let names = names.map(|it| it.computer.destination());
            names.collect::<Vec<_>>()
        });
        f.debug_tuple("NetworkWay").field(&through).finish()
    }
}

/// What is asked of a lab's addresses: its API servers, what leads to them, etcd's members, and kubelets.
fn targets(lab: &Lab) -> Vec<String> {
    let of = |machine: &Machine| -> &[u16] {
        match machine.role {
            Role::Etcd => &[ports::ETCD_CLIENT],
            Role::LoadBalancer => &[ports::API],
            Role::ControlPlane => &[ports::API, ports::KUBELET],
            Role::Worker => &[ports::KUBELET],
        }
    };
    let machines = lab.machines().iter();
    let machines = machines.flat_map(|it| {
        let ports = of(it).iter();
        ports.map(|port| SocketAddrV4::new(it.ip, *port))
    });
    let mut all: Vec<String> = machines.map(|it| it.to_string()).collect();
    all.push(lab.api_endpoint().to_string());
    all.sort();
    all.dedup();
    all
}

impl Tunnels {
    /// Connects through the computer of the machine with that address, or through any that answers: a shared address is seen
    /// by all of them.
    fn connect(&self, address: SocketAddrV4) -> io::Result<UnixStream> {
        let nearest = self.nearest.get(address.ip()).copied();
        let others = (0..self.computers.len()).filter(|place| Some(*place) != nearest);
        let mut why = io::Error::other("no computer leads there");
        for place in nearest.into_iter().chain(others) {
            match self.through(place, &address.to_string()) {
                Ok(stream) => return Ok(stream),
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    fn through(&self, place: usize, target: &str) -> io::Result<UnixStream> {
        let tunnel = &self.computers[place];
        // One login for all: whoever comes second waits for the first. One whose connection was lost is made again.
        let open = tunnel.open.lock();
        let mut open = open.map_err(|_| io::Error::other("a thread has failed"))?;
        open.retain(Forward::is_open);
        for way in open.iter() {
            match way.connect_to(target) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                stream => return stream,
            }
        }
        let known: Vec<&str> = self.targets.iter().map(String::as_str).collect();
        let way = priority::ordinary(|| match known.contains(&target) {
            true => tunnel.computer.forward_all(&known),
            false => tunnel.computer.forward(target),
        });
        let way = way.map_err(|error| io::Error::other(error.to_string()))?;
        let stream = way.connect_to(target);
        open.push(way);
        stream
    }
}

/// A connection to one of the lab's addresses.
#[derive(Debug)]
pub(crate) enum WayConnection {
    /// Of this computer's own network.
    Straight(TcpStream),
    /// Through another computer.
    Tunnel(UnixStream),
}

impl WayConnection {
    pub(crate) fn limit_reads(&self, limit: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Straight(stream) => stream.set_read_timeout(limit),
            Self::Tunnel(stream) => stream.set_read_timeout(limit),
        }
    }

    pub(crate) fn limit_writes(&self, limit: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Straight(stream) => stream.set_write_timeout(limit),
            Self::Tunnel(stream) => stream.set_write_timeout(limit),
        }
    }
}

impl Read for WayConnection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Straight(stream) => stream.read(buffer),
            Self::Tunnel(stream) => stream.read(buffer),
        }
    }
}

impl Write for WayConnection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Straight(stream) => stream.write(bytes),
            Self::Tunnel(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Straight(stream) => stream.flush(),
            Self::Tunnel(stream) => stream.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn small_writes_are_sent_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let SocketAddr::V4(address) = listener.local_addr().expect("it has one") else {
            panic!("it was given one of version 4");
        };
        let made = NetworkWay::default().connect(address, Duration::from_secs(5));
        match made.expect("somebody listens") {
            WayConnection::Straight(stream) => assert!(stream.nodelay().expect("told")),
            WayConnection::Tunnel(_) => panic!("there is no other computer"),
        }
    }
}
