//! What came of an attempt, and how that is told from errors and answers.

use std::{fmt, io};

use rustls::CertificateError;

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
    pub(super) fn without_server(end: End) -> Self {
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

pub(super) fn read_answer(answer: &[u8]) -> End {
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

pub(super) fn end_of(error: &io::Error) -> End {
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
