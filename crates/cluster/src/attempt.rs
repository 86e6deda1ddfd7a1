//! Raw attempts: how far does a client come with what it has, and who stops it?
//!
//! A library's "connection failed" is no proof of a refusal: nobody may have listened. An [`Attempt`] keeps apart what
//! the server showed, whether that was the right server, and what then ended the connection.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ClientConnection, RootCertStore, Stream};

use crate::way::{NetworkWay, WayConnection};
use crate::{Error, Pair};

mod end;
mod timed;
mod witness;

pub use end::{Attempt, Distrust, End};

use end::{end_of, read_answer};
use timed::Timed;
use witness::Witness;

/// How long a connection may take to be made, and each wait on it, unless told otherwise. A server that is busy is no server
/// that refuses.
pub const LIMIT: Duration = Duration::from_secs(15);

/// How much of an answer is read.
const ANSWER_BYTES: usize = 64 * 1024;

/// What a client trusts, and what it shows when asked who it is.
///
/// Keys and certificates are read once, and each connection takes them as they are: a drill makes fifty of those a second
/// beside the lab that it measures.
#[derive(Debug, Clone)]
pub struct Client {
    provider: Arc<CryptoProvider>,
    judge: Arc<WebPkiServerVerifier>,
    shown: Option<Arc<SingleCertAndKey>>,
    limit: Duration,
    deadline: Option<Duration>,
    way: NetworkWay,
    header: String,
}

impl Client {
    /// A client that trusts `ca` (PEM) and shows `pair`, if any, whatever issuers the server says it would accept.
    ///
    /// # Errors
    ///
    /// [`Error::Credentials`].
    pub fn new(ca: &str, pair: Option<&Pair>) -> Result<Self, Error> {
        let what = "the certificate authority";
        let mut roots = RootCertStore::empty();
        for certificate in chain(what, ca)? {
            roots
                .add(certificate)
                .map_err(|error| broken(what, &error))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let judge =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .map_err(|error| broken(what, &error))?;
        let client = Self {
            judge,
            shown: pair.map(|pair| shown(pair, &provider)).transpose()?,
            provider,
            limit: LIMIT,
            deadline: None,
            way: NetworkWay::default(),
            header: String::new(),
        };
        // Found out now and not in the middle of an attempt.
        client.config()?;
        Ok(client)
    }

    /// The same, with another limit for the connection and for each wait on it.
    #[must_use]
    pub fn with_limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// The same, that may take up to `deadline` for all of an attempt: its connection, the handshake and the answer.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self {
            limit: deadline,
            deadline: Some(deadline),
            ..self
        }
    }

    /// The same, that gets to the lab's addresses by a way.
    #[must_use]
    pub fn by(self, way: &NetworkWay) -> Self {
        Self {
            way: way.clone(),
            ..self
        }
    }

    /// The same, with one more header in each request.
    #[must_use]
    pub fn with_header(self, name: &str, value: &str) -> Self {
        Self {
            header: format!("{name}: {value}\r\n"),
            ..self
        }
    }

    fn config(&self) -> Result<(ClientConfig, Arc<Witness>), Error> {
        let witness = Witness::new(Arc::clone(&self.judge));
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| broken("the TLS library", &error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&witness) as _);
        let mut config = match &self.shown {
            None => builder.with_no_client_auth(),
            Some(shown) => builder.with_client_cert_resolver(Arc::clone(shown) as _),
        };
        // Each connection is one of its own.
        config.resumption = Resumption::disabled();
        Ok((config, witness))
    }

    /// Connects to `address` and asks for `path`.
    pub fn get(&self, address: SocketAddrV4, path: &str) -> Attempt {
        self.get_as(address, *address.ip(), path)
    }

    /// The same of a server that is at `address` and has a certificate for another one, `named`.
    pub fn get_as(&self, address: SocketAddrV4, named: Ipv4Addr, path: &str) -> Attempt {
        let began = Instant::now();
        match connect(&self.way, address, self.limit) {
            Ok(socket) => match self.deadline {
                None => self.get_over(socket, IpAddr::V4(named), path),
                Some(deadline) => {
                    let socket = Timed::new(socket, began + deadline);
                    self.get_over(socket, IpAddr::V4(named), path)
                }
            },
            Err(why) => Attempt::without_server(End::Unreachable(why)),
        }
    }

    /// Asks for `path` and hands on each line of what comes, headers too, as it comes, until there is nothing more or `heard`
    /// says no. It is given nothing where nothing has come for as long as `look`, and may say no then too.
    ///
    /// # Errors
    ///
    /// What ended the connection, or why there was none.
    pub(crate) fn lines(
        &self,
        address: SocketAddrV4,
        path: &str,
        look: Duration,
        heard: &mut dyn FnMut(Option<&str>) -> bool,
    ) -> Result<(), String> {
        let told = |error: io::Error| end_of(&error).to_string();
        let server = IpAddr::V4(*address.ip());
        let mut socket = connect(&self.way, address, self.limit)?;
        socket.limit(self.limit).map_err(told)?;
        let (mut connection, _) = self.prepare(server).map_err(|error| error.to_string())?;
        let mut stream = Stream::new(&mut connection, &mut socket);
        stream
            .write_all(request(server, path, &self.header).as_bytes())
            .and_then(|()| stream.flush())
            .map_err(told)?;
        stream.sock.limit_reads(Some(look)).map_err(told)?;
        let mut text = Vec::new();
        let mut piece = [0; 16 * 1024];
        loop {
            match stream.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(read) => text.extend_from_slice(&piece[..read]),
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) =>
                {
                    if !heard(None) {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(told(error)),
            }
            while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = text.drain(..=end).collect();
                if !heard(Some(String::from_utf8_lossy(&line).trim_end())) {
                    return Ok(());
                }
            }
        }
    }

    fn prepare(&self, server: IpAddr) -> Result<(ClientConnection, Arc<Witness>), Error> {
        let (config, witness) = self.config()?;
        let name = ServerName::IpAddress(server.into());
        let connection = ClientConnection::new(Arc::new(config), name)
            .map_err(|error| broken("the TLS library", &error))?;
        Ok((connection, witness))
    }

    /// Asks for `path` over a connection that leads to `server`.
    pub fn get_over(&self, mut socket: impl Socket, server: IpAddr, path: &str) -> Attempt {
        let (mut connection, witness) = match self.prepare(server) {
            Ok(prepared) => prepared,
            Err(error) => return Attempt::without_server(End::Closed(error.to_string())),
        };
        let end = match socket.limit(self.limit) {
            Err(error) => End::Unreachable(error.to_string()),
            Ok(()) => {
                let mut stream = Stream::new(&mut connection, &mut socket);
                match talk(
                    &mut stream,
                    &request(server, path, &self.header),
                    self.limit,
                ) {
                    Ok(end) => end,
                    Err(error) => end_of(&error),
                }
            }
        };
        let (shown, trusted) = witness.testimony();
        Attempt {
            shown,
            trusted,
            end,
        }
    }
}

/// What a client shows when it is asked who it is.
fn shown(pair: &Pair, provider: &CryptoProvider) -> Result<Arc<SingleCertAndKey>, Error> {
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes())
        .map_err(|error| broken("a client's private key", &error))?;
    let chain = chain("a client's certificate", &pair.certificate)?;
    let certified = CertifiedKey::from_der(chain, key, provider)
        .map_err(|error| broken("a client's certificate", &error))?;
    Ok(Arc::new(certified.into()))
}

/// Speaks plain HTTP to a port where TLS is expected; the connection may take up to `limit`, and so may each wait on it.
pub fn plain(way: &NetworkWay, address: SocketAddrV4, path: &str, limit: Duration) -> End {
    let mut socket = match connect(way, address, limit) {
        Ok(socket) => socket,
        Err(why) => return End::Unreachable(why),
    };
    match socket.limit(limit).and_then(|()| {
        talk(
            &mut socket,
            &request(IpAddr::V4(*address.ip()), path, ""),
            limit,
        )
    }) {
        Ok(end) => end,
        Err(error) => end_of(&error),
    }
}

fn connect(
    way: &NetworkWay,
    address: SocketAddrV4,
    limit: Duration,
) -> Result<WayConnection, String> {
    way.connect(address, limit)
        .map_err(|error| error.to_string())
}

/// A connection whose waits can be limited.
pub trait Socket: Read + Write {
    /// Limits each read and write.
    ///
    /// # Errors
    ///
    /// That of the operating system.
    fn limit(&mut self, limit: Duration) -> io::Result<()>;
}

impl Socket for WayConnection {
    fn limit(&mut self, limit: Duration) -> io::Result<()> {
        self.limit_reads(Some(limit))?;
        self.limit_writes(Some(limit))
    }
}

impl Socket for UnixStream {
    fn limit(&mut self, limit: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(limit))?;
        self.set_write_timeout(Some(limit))
    }
}

/// HTTP/1.0: the answer comes in one piece and ends with the connection.
fn request(server: IpAddr, path: &str, header: &str) -> String {
    format!("GET {path} HTTP/1.0\r\nHost: {server}\r\nConnection: close\r\n{header}\r\n")
}

/// Sends one request and reads the answer.
fn talk(stream: &mut (impl Read + Write), request: &str, limit: Duration) -> io::Result<End> {
    stream.write_all(request.as_bytes())?;
    stream.flush()?;
    let began = Instant::now();
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while answer.len() < ANSWER_BYTES && began.elapsed() < limit {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(&piece[..read]),
            // A server that hangs up without TLS's own goodbye has still said what it has said.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(_) if !answer.is_empty() => break,
            Err(error) => return Err(error),
        }
    }
    Ok(read_answer(&answer))
}

fn broken(what: &'static str, reason: &dyn fmt::Display) -> Error {
    Error::Credentials {
        what,
        reason: reason.to_string(),
    }
}

/// The certificates of a PEM text, DER, in its order.
pub(crate) fn chain(what: &'static str, pem: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| broken(what, &error))?;
    if found.is_empty() {
        return Err(broken(what, &"there is no certificate in it"));
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
