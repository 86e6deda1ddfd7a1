//! JSON over mutual TLS, which is all that the API and etcd's gateway need.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::http::{Method, Request};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Connector as _, RustlsConnector};

use crate::until::pause;
use crate::way::{NetworkWay, WayConnector};
use crate::{Error, Pair};

/// How many times something is asked at most that gets no answer: with the pauses in between, whose sum is 4.5 s, longer than a
/// load balancer takes for finding out again that a server lives.
pub(crate) const TRIES: u32 = 5;

/// How long is waited before something is asked again that has been asked so many times.
pub(crate) fn before_again(asked: u32) -> Duration {
    Duration::from_millis(300) * 2_u32.saturating_pow(asked.saturating_sub(1))
}

/// Whether a connection was there and ended before the answer did.
fn is_cut(error: &ureq::Error) -> bool {
    use std::io::ErrorKind;
    match error {
        ureq::Error::Io(error) => matches!(
            error.kind(),
            ErrorKind::UnexpectedEof
                | ErrorKind::ConnectionReset
                | ErrorKind::ConnectionAborted
                | ErrorKind::BrokenPipe
                | ErrorKind::NotConnected
        ),
        _ => false,
    }
}

/// How many connections to a server are kept at most.
const CONNECTIONS: usize = 64;

/// One server, reached with one identity.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    agent: Agent,
    name: String,
    base: String,
    /// How many times it is read at most where connections are cut.
    reads: u32,
}

impl Server {
    /// The server called `name` in messages, at `base` (`https://address:port`), whose certificate comes from `ca`;
    /// one request may take up to `limit`, and half of that for its connection: machines are near, but a computer that
    /// runs nine of them is busy. It is reached by `way`.
    pub(crate) fn new(
        name: String,
        base: String,
        ca: &str,
        pair: Option<&Pair>,
        limit: Duration,
        way: &NetworkWay,
    ) -> Result<Self, Error> {
        let roots = certificates("the certificate authority", ca)?;
        let client = pair.map(client).transpose()?;
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(roots)))
            .client_cert(client)
            .build();
        // As many as are under way at once: one more would be closed and made anew for each request.
        let agent = agent(tls, CONNECTIONS, (limit / 2, limit), way);
        Ok(Self {
            agent,
            name,
            base,
            reads: 1,
        })
    }

    /// The same, from which is read again where a connection is cut: one that is kept may lead to what has just gone away, and a
    /// load balancer cuts those that lead to a server that it takes for dead. What is not answered in time, or refused, is not
    /// asked for again.
    pub(crate) fn reading_again(self) -> Self {
        Self {
            reads: TRIES,
            ..self
        }
    }

    /// Sends `body` to `path` and returns status and text, whatever the status.
    pub(crate) fn raw(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, String), Error> {
        self.send(method, path, "application/json", body)
    }

    /// Sends `body`, of this type, to `path` and returns status and text, whatever the status; reads again where that is so.
    fn send(
        &self,
        method: &Method,
        path: &str,
        content_type: &str,
        body: Option<&Value>,
    ) -> Result<(u16, String), Error> {
        let tries = match *method == Method::GET {
            true => self.reads,
            false => 1,
        };
        let mut asked = 0;
        loop {
            asked += 1;
            match self.send_once(method, path, content_type, body) {
                Err(Error::Unreachable { source, .. }) if asked < tries && is_cut(&source) => {
                    pause(before_again(asked))?;
                }
                answer => return answer,
            }
        }
    }

    fn send_once(
        &self,
        method: &Method,
        path: &str,
        content_type: &str,
        body: Option<&Value>,
    ) -> Result<(u16, String), Error> {
        let unreachable = |error: ureq::Error| Error::Unreachable {
            server: self.name.clone(),
            request: format!("{method} {path}"),
            source: Box::new(error),
        };
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("content-type", content_type)
            .header("accept", "application/json, */*;q=0.5")
            .body(body.map(Value::to_string).unwrap_or_default())
            .map_err(|error| unreachable(error.into()))?;
        let mut response = self.agent.run(request).map_err(unreachable)?;
        let status = response.status().as_u16();
        let text = response.body_mut().read_to_string().map_err(unreachable)?;
        Ok((status, text))
    }

    /// Sends `body` to `path` and returns the text of a good answer.
    pub(crate) fn text(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<String, Error> {
        self.good(method, path, self.raw(method, path, body)?)
    }

    /// The text of an answer that is a good one.
    fn good(
        &self,
        method: &Method,
        path: &str,
        (status, text): (u16, String),
    ) -> Result<String, Error> {
        if (200..300).contains(&status) {
            return Ok(text);
        }
        Err(Error::Answered {
            server: self.name.clone(),
            request: format!("{method} {path}"),
            status,
            message: message(&text),
        })
    }

    /// Sends `body` to `path` and returns the JSON of a good answer.
    pub(crate) fn json(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Error> {
        let text = self.text(method, path, body)?;
        self.read(method, path, &text)
    }

    /// Sends a JSON merge patch (RFC 7396) to `path` and returns the JSON of a good answer.
    pub(crate) fn merge(&self, path: &str, changes: &Value) -> Result<Value, Error> {
        let method = &Method::PATCH;
        let answer = self.send(method, path, "application/merge-patch+json", Some(changes))?;
        let text = self.good(method, path, answer)?;
        self.read(method, path, &text)
    }

    fn read(&self, method: &Method, path: &str, text: &str) -> Result<Value, Error> {
        serde_json::from_str(text).map_err(|source| Error::Unreadable {
            server: self.name.clone(),
            request: format!("{method} {path}"),
            source,
        })
    }
}

/// Who shows `pair`, if any, and asks whoever answers, whatever certificate that has: one request over each connection.
///
/// # Errors
///
/// [`Error::Credentials`].
pub(crate) fn trusting(
    pair: Option<&Pair>,
    limit: Duration,
    way: &NetworkWay,
) -> Result<Agent, Error> {
    let tls = TlsConfig::builder()
        .disable_verification(true)
        .client_cert(pair.map(client).transpose()?)
        .build();
    Ok(agent(tls, 0, (limit, limit), way))
}

/// A client that keeps so many connections; a connection may take up to the first limit, and all of a request to the second.
fn agent(
    tls: TlsConfig,
    kept: usize,
    (connects, ends): (Duration, Duration),
    way: &NetworkWay,
) -> Agent {
    let config = Agent::config_builder()
        .tls_config(tls)
        // The lab's addresses are here; a proxy of the user's leads away from them.
        .proxy(None)
        .max_redirects(0)
        .http_status_as_error(false)
        .max_idle_connections(kept)
        .max_idle_connections_per_host(kept)
        .timeout_connect(Some(connects))
        .timeout_global(Some(ends))
        .build();
    match way.is_straight() {
        true => config.new_agent(),
        false => {
            let connector = WayConnector(way.clone()).chain(RustlsConnector::default());
            Agent::with_parts(config, connector, DefaultResolver::default())
        }
    }
}

/// What a bad answer says: the message of its JSON, the checks that failed, or its first line.
fn message(text: &str) -> String {
    let json: Option<Value> = serde_json::from_str(text).ok();
    let said = json.as_ref().and_then(|json| {
        ["message", "error"]
            .iter()
            .find_map(|key| json[key].as_str())
    });
    if let Some(said) = said {
        return said.to_owned();
    }
    // `/readyz` and `/livez` list every check; `[-]` is before those that failed.
    let failed: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("[-]"))
        .collect();
    if failed.is_empty() {
        text.lines().next().unwrap_or_default().to_owned()
    } else {
        failed.join(", ")
    }
}

fn certificates(what: &'static str, pem: &str) -> Result<Vec<Certificate<'static>>, Error> {
    let broken = |reason: String| Error::Credentials { what, reason };
    let mut found = Vec::new();
    for item in parse_pem(pem.as_bytes()) {
        if let PemItem::Certificate(certificate) =
            item.map_err(|error| broken(error.to_string()))?
        {
            found.push(certificate);
        }
    }
    if found.is_empty() {
        return Err(broken("there is no certificate in it".to_owned()));
    }
    Ok(found)
}

fn client(pair: &Pair) -> Result<ClientCert, Error> {
    let chain = certificates("a client's certificate", &pair.certificate)?;
    let key = PrivateKey::from_pem(pair.key.as_bytes()).map_err(|error| Error::Credentials {
        what: "a client's private key",
        reason: error.to_string(),
    })?;
    Ok(ClientCert::new_with_certs(&chain, key))
}
