//! Raw attempts: how far does a client come with what it has, and who stops it?
//!
//! A library's "connection failed" is no proof of a refusal: nobody may have listened. An [`Attempt`] keeps apart what
//! the server showed, whether that was the right server, and what then ended the connection.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{CertificateError, ClientConfig, ClientConnection, RootCertStore, Stream};

use crate::{Error, Pair};

mod witness;

use witness::Witness;

/// How long a connection may take to be made, and each wait on it, unless told otherwise.
pub const LIMIT: Duration = Duration::from_millis(2000);

/// How much of an answer is read.
const ANSWER_BYTES: usize = 64 * 1024;

/// What came of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The server's own certificate, DER, if it showed one.
    pub shown: Option<Vec<u8>>,
    /// Whether that certificate is one that the client trusts for the server it meant. Then the right server was there,
    /// alive and speaking TLS, whatever it said next.
    pub trusted: bool,
    /// What ended the attempt.
    pub end: End,
}

/// What ended an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The server took the request and answered it.
    Answered {
        /// The HTTP status.
        status: u16,
        /// The body, as far as it was read.
        body: String,
    },
    /// The client does not accept the server's certificate.
    Distrusted(Distrust),
    /// The server ended it with a TLS alert of this name, such as `UnknownCA`.
    Alert(String),
    /// The server ended the connection without an answer that makes sense.
    Closed(String),
    /// The connection stayed open and nothing came.
    Silent,
    /// There was no connection.
    Unreachable(String),
}

/// Why a client does not accept a server's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Distrust {
    /// Its issuer is not one that is trusted.
    Issuer,
    /// It is for another purpose than being a server.
    Purpose,
    /// It is for another name.
    Name,
    /// Something else, in the library's words.
    Unusable(String),
}

impl Attempt {
    fn without_server(end: End) -> Self {
        Self {
            shown: None,
            trusted: false,
            end,
        }
    }

    /// Whether the right server was there and refused the client: by a TLS alert, or by hanging up once it had shown who
    /// it is, which may overtake its own alert.
    pub fn is_refusal(&self) -> bool {
        self.trusted && matches!(self.end, End::Alert(_) | End::Closed(_))
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered { status, .. } => write!(f, "answered with status {status}"),
            Self::Distrusted(why) => write!(f, "the client refused: {why}"),
            Self::Alert(alert) => write!(f, "the server refused with the TLS alert {alert}"),
            Self::Closed(why) => write!(f, "ended without an answer: {why}"),
            Self::Silent => f.write_str("the server stayed silent"),
            Self::Unreachable(why) => write!(f, "no connection: {why}"),
        }
    }
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Issuer => f.write_str("the server's certificate is of an unknown issuer"),
            Self::Purpose => f.write_str("the server's certificate is for another purpose"),
            Self::Name => f.write_str("the server's certificate is for another name"),
            Self::Unusable(why) => f.write_str(why),
        }
    }
}

/// What a client trusts, and what it shows when asked who it is.
#[derive(Debug, Clone)]
pub struct Client {
    roots: Arc<RootCertStore>,
    pair: Option<Pair>,
    limit: Duration,
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
        let client = Self {
            roots: Arc::new(roots),
            pair: pair.cloned(),
            limit: LIMIT,
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

    fn config(&self) -> Result<(ClientConfig, Arc<Witness>), Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let witness = Witness::new(Arc::clone(&self.roots), &provider)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| broken("the TLS library", &error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&witness) as _);
        let config = match &self.pair {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes())
                    .map_err(|error| broken("a client's private key", &error))?;
                let chain = chain("a client's certificate", &pair.certificate)?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| broken("a client's certificate", &error))?
            }
        };
        Ok((config, witness))
    }

    /// Connects to `address` and asks for `path`.
    pub fn get(&self, address: SocketAddrV4, path: &str) -> Attempt {
        match connect(address, self.limit) {
            Ok(socket) => self.get_over(socket, IpAddr::V4(*address.ip()), path),
            Err(why) => Attempt::without_server(End::Unreachable(why)),
        }
    }

    /// Asks for `path` over a connection that leads to `server`.
    pub fn get_over(&self, mut socket: impl Socket, server: IpAddr, path: &str) -> Attempt {
        let prepared = self.config().and_then(|(config, witness)| {
            let name = ServerName::IpAddress(server.into());
            let connection = ClientConnection::new(Arc::new(config), name)
                .map_err(|error| broken("the TLS library", &error))?;
            Ok((connection, witness))
        });
        let (mut connection, witness) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return Attempt::without_server(End::Closed(error.to_string())),
        };
        let end = match socket.limit(self.limit) {
            Err(error) => End::Unreachable(error.to_string()),
            Ok(()) => {
                let mut stream = Stream::new(&mut connection, &mut socket);
                match talk(&mut stream, server, path, self.limit) {
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

/// Speaks plain HTTP to a port where TLS is expected.
pub fn plain(address: SocketAddrV4, path: &str) -> End {
    let mut socket = match connect(address, LIMIT) {
        Ok(socket) => socket,
        Err(why) => return End::Unreachable(why),
    };
    match socket
        .limit(LIMIT)
        .and_then(|()| talk(&mut socket, IpAddr::V4(*address.ip()), path, LIMIT))
    {
        Ok(end) => end,
        Err(error) => end_of(&error),
    }
}

fn connect(address: SocketAddrV4, limit: Duration) -> Result<TcpStream, String> {
    TcpStream::connect_timeout(&SocketAddr::V4(address), limit).map_err(|error| error.to_string())
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

impl Socket for TcpStream {
    fn limit(&mut self, limit: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(limit))?;
        self.set_write_timeout(Some(limit))
    }
}

impl Socket for UnixStream {
    fn limit(&mut self, limit: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(limit))?;
        self.set_write_timeout(Some(limit))
    }
}

/// Sends one request and reads the answer.
fn talk(
    stream: &mut (impl Read + Write),
    server: IpAddr,
    path: &str,
    limit: Duration,
) -> io::Result<End> {
    // HTTP/1.0: the answer comes in one piece and ends with the connection.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {server}\r\nConnection: close\r\n\r\n");
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

fn read_answer(answer: &[u8]) -> End {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut words = head.split_ascii_whitespace();
    let status = words
        .next()
        .filter(|word| word.starts_with("HTTP/"))
        .and_then(|_| words.next()?.parse().ok());
    match status {
        Some(status) => End::Answered {
            status,
            body: body.trim_end().to_owned(),
        },
        None if answer.is_empty() => End::Closed("the server hung up".to_owned()),
        None => End::Closed("what came back is not HTTP".to_owned()),
    }
}

fn end_of(error: &io::Error) -> End {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::AlertReceived(alert)) => End::Alert(format!("{alert:?}")),
        Some(rustls::Error::InvalidCertificate(why)) => End::Distrusted(distrust(why)),
        _ => match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => End::Silent,
            _ => End::Closed(error.to_string()),
        },
    }
}

fn distrust(why: &CertificateError) -> Distrust {
    match why {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Distrust::Issuer,
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            Distrust::Purpose
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Distrust::Name
        }
        other => Distrust::Unusable(other.to_string()),
    }
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
