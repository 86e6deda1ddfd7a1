//! What `verify` runs in pods: a server that says where it runs, and clients that say how far they came.
//!
//! Compiled alone with `rustc`, statically, for the `probe` image; it has nothing but the standard library. A static
//! glibc cannot load resolver modules, so names are resolved here, by one DNS query to the pod's own resolver.
//!
//! ```text
//! probe serve PORT                       answers every request with its host name and $NODE_NAME, but for this one:
//!     GET /check?get=URL&resolve=NAME&connect=ADDRESS:PORT&timeout-ms=N
//!                                        is a client itself, for each of them at once, as often as they are given
//! probe get URL [--timeout-ms N]         http://NAME-OR-ADDRESS[:PORT]/PATH
//! probe resolve NAME [--timeout-ms N]    the addresses of NAME
//! probe connect ADDRESS:PORT [--timeout-ms N]    a TCP connection and nothing more
//! ```
//!
//! A client prints one line, `ok MILLISECONDS WHAT...` or `failed MILLISECONDS STAGE WHY`, then for `get` the body.
//! It exits with 0, 1 when it failed, and 2 when it was called wrongly. `/check` answers with one line for each:
//! `get URL: ok MILLISECONDS WHAT... | BODY`.

use std::ffi::c_int;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::ExitCode;
use std::time::{Duration, Instant};

unsafe extern "C" {
    fn signal(number: c_int, handler: extern "C" fn(c_int)) -> usize;
    fn _exit(status: c_int) -> !;
}

const SIGINT: c_int = 2;
const SIGTERM: c_int = 15;

/// As process 1 of its container it would ignore both signals without a handler, and stopping it would take 30 s.
extern "C" fn end(_: c_int) {
    // SAFETY: `_exit` may be called from a signal handler and takes no pointers.
    unsafe { _exit(0) }
}

fn main() -> ExitCode {
    // SAFETY: the handler is a function that lives as long as the program and only makes an async-signal-safe call.
    unsafe {
        signal(SIGINT, end);
        signal(SIGTERM, end);
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (words, limit) = match words.as_slice() {
        [words @ .., "--timeout-ms", number] => match number.parse() {
            Ok(number) => (words, Duration::from_millis(number)),
            Err(_) => return usage(),
        },
        words => (words, Duration::from_secs(5)),
    };
    match words {
        ["serve", port] => port.parse().map_or_else(|_| usage(), serve),
        [verb, target] => match ask_for(verb, target, limit) {
            None => usage(),
            Some(Ok((line, body))) => {
                println!("{line}");
                if !body.is_empty() {
                    println!("{body}");
                }
                ExitCode::SUCCESS
            }
            Some(Err(line)) => {
                println!("{line}");
                ExitCode::from(1)
            }
        },
        _ => usage(),
    }
}

/// Is a client once: the line that says how it went, and the body; `None` when there is no such client.
fn ask_for(verb: &str, target: &str, limit: Duration) -> Option<Result<(String, String), String>> {
    let clock = Clock { since: Instant::now(), limit };
    let done = match verb {
        "get" => get(target, &clock),
        "resolve" => resolve(target, &clock).map(|found| (join(&found), String::new())),
        "connect" => {
            let address = target.parse().ok()?;
            connect(address, &clock).map(|_| (address.to_string(), String::new()))
        }
        _ => return None,
    };
    let took = clock.since.elapsed().as_millis();
    Some(match done {
        Ok((what, body)) => Ok((format!("ok {took} {what}"), body.trim_end().to_owned())),
        Err(Failure { stage, why }) => Err(format!("failed {took} {stage} {why}")),
    })
}

fn usage() -> ExitCode {
    eprintln!("usage: probe serve PORT | get URL | resolve NAME | connect ADDRESS:PORT  [--timeout-ms N]");
    ExitCode::from(2)
}

/// How far a client came, and what stopped it.
struct Failure {
    stage: &'static str,
    why: String,
}

fn at(stage: &'static str) -> impl Fn(std::io::Error) -> Failure {
    move |error| Failure { stage, why: error.to_string() }
}

/// Time since the start, and how much there may be.
struct Clock {
    since: Instant,
    limit: Duration,
}

impl Clock {
    fn left(&self, stage: &'static str) -> Result<Duration, Failure> {
        match self.limit.checked_sub(self.since.elapsed()) {
            Some(left) if !left.is_zero() => Ok(left),
            _ => Err(Failure { stage, why: format!("timed out after {} ms", self.limit.as_millis()) }),
        }
    }
}

fn serve(port: u16) -> ExitCode {
    let listener = match TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)) {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("cannot listen on port {port}: {error}");
            return ExitCode::from(1);
        }
    };
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let node = std::env::var("NODE_NAME").unwrap_or_default();
    let body = format!("host={} node={node}\n", host.trim());
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        let body = body.clone();
        std::thread::spawn(move || answer(stream, &body));
    }
    ExitCode::SUCCESS
}

/// Answers one request; what the client does wrong is its own affair.
fn answer(mut stream: TcpStream, body: &str) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.windows(4).any(|bytes| bytes == b"\r\n\r\n") && request.len() < 16 << 10 {
        match stream.read(&mut buffer).ok()? {
            0 => break,
            read => request.extend_from_slice(&buffer[..read]),
        }
    }
    let client = stream.peer_addr().ok()?.ip();
    let request = String::from_utf8_lossy(&request);
    let path = request.split(' ').nth(1).unwrap_or("/");
    let body = match path.split_once("/check?") {
        Some((_, query)) => check(query),
        None => format!("{} client={client}\n", body.trim_end()),
    };
    write!(
        stream,
        "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .ok()
}

/// Is every client that a query asks for, all at once, and reports in the order of the query.
fn check(query: &str) -> String {
    let words = || query.split('&').filter_map(|pair| pair.split_once('='));
    let limit = words().find_map(|(name, value)| (name == "timeout-ms").then(|| value.parse().ok())?);
    let limit = Duration::from_millis(limit.unwrap_or(3000));
    let clients: Vec<_> = words()
        .filter(|(name, _)| *name != "timeout-ms")
        .map(|(verb, target)| {
            let (verb, target) = (verb.to_owned(), unescaped(target));
            std::thread::spawn(move || {
                let line = match ask_for(&verb, &target, limit) {
                    Some(Ok((line, body))) => format!("{line} | {}", body.replace('\n', " ")),
                    Some(Err(line)) => line,
                    None => "failed 0 query there is no such client".to_owned(),
                };
                format!("{verb} {target}: {line}\n")
            })
        })
        .collect();
    clients.into_iter().filter_map(|client| client.join().ok()).collect()
}

/// What a proxy on the way may have written as %3A and the like.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = (*first == b'%').then(|| tail.get(..2)).flatten();
        let code = code.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn connect(address: SocketAddr, clock: &Clock) -> Result<TcpStream, Failure> {
    TcpStream::connect_timeout(&address, clock.left("connect")?)
        .map_err(|error| Failure { stage: "connect", why: format!("{address}: {error}") })
}

fn get(url: &str, clock: &Clock) -> Result<(String, String), Failure> {
    let wrong = || Failure { stage: "url", why: format!("`{url}` is not http://HOST[:PORT]/PATH") };
    let rest = url.strip_prefix("http://").ok_or_else(wrong)?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| wrong())?),
        None => (authority, 80),
    };
    let addresses = resolve(host, clock)?;
    let address = SocketAddr::new(IpAddr::V4(addresses[0]), port);
    let mut stream = connect(address, clock)?;
    stream.set_read_timeout(Some(clock.left("request")?)).map_err(at("request"))?;
    stream.set_write_timeout(Some(clock.left("request")?)).map_err(at("request"))?;
    write!(stream, "GET /{path} HTTP/1.0\r\nHost: {authority}\r\nConnection: close\r\n\r\n").map_err(at("request"))?;
    let mut response = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        stream.set_read_timeout(Some(clock.left("response")?)).map_err(at("response"))?;
        match stream.read(&mut buffer).map_err(at("response"))? {
            0 => break,
            read => response.extend_from_slice(&buffer[..read]),
        }
        if response.len() > 1 << 20 {
            break;
        }
    }
    let text = String::from_utf8_lossy(&response);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split_whitespace().nth(1).unwrap_or("").to_owned();
    if status.starts_with('2') {
        Ok((format!("{address} {status}"), body.to_owned()))
    } else {
        Err(Failure { stage: "response", why: format!("{address} answered `{}`", head.lines().next().unwrap_or("")) })
    }
}

/// The IPv4 addresses of `name`, which may be one.
fn resolve(name: &str, clock: &Clock) -> Result<Vec<Ipv4Addr>, Failure> {
    if let Ok(address) = name.parse() {
        return Ok(vec![address]);
    }
    let settings = std::fs::read_to_string("/etc/resolv.conf").map_err(at("resolve"))?;
    let settings = Settings::parse(&settings);
    if settings.servers.is_empty() {
        return Err(Failure { stage: "resolve", why: "/etc/resolv.conf names no nameserver".to_owned() });
    }
    let mut why = String::new();
    for candidate in settings.candidates(name) {
        match ask(&candidate, &settings.servers, clock)? {
            Ok(found) if !found.is_empty() => return Ok(found),
            Ok(_) => why = format!("`{name}` has no address"),
            Err(said) => why = format!("`{name}`: {said}"),
        }
    }
    Err(Failure { stage: "resolve", why })
}

/// What of resolv.conf counts here.
struct Settings {
    servers: Vec<IpAddr>,
    search: Vec<String>,
    ndots: usize,
}

impl Settings {
    fn parse(text: &str) -> Self {
        let mut settings = Self { servers: Vec::new(), search: Vec::new(), ndots: 1 };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => settings.servers.extend(words.next().and_then(|word| word.parse::<IpAddr>().ok())),
                Some("search") => settings.search = words.map(str::to_owned).collect(),
                Some("options") => {
                    let ndots = words.filter_map(|word| word.strip_prefix("ndots:")?.parse().ok()).last();
                    settings.ndots = ndots.unwrap_or(settings.ndots);
                }
                _ => {}
            }
        }
        settings
    }

    /// The names to try, in order.
    fn candidates(&self, name: &str) -> Vec<String> {
        if let Some(absolute) = name.strip_suffix('.') {
            return vec![absolute.to_owned()];
        }
        let mut names: Vec<String> = self.search.iter().map(|domain| format!("{name}.{domain}")).collect();
        let place = if name.matches('.').count() >= self.ndots { 0 } else { names.len() };
        names.insert(place, name.to_owned());
        names
    }
}

/// Asks the servers in turn, each again after half a second, as long as there is time. The inner error is an answer.
fn ask(name: &str, servers: &[IpAddr], clock: &Clock) -> Result<Result<Vec<Ipv4Addr>, String>, Failure> {
    let id = std::process::id() as u16 ^ Instant::now().elapsed().subsec_nanos() as u16;
    let query = query(id, name);
    loop {
        for &server in servers {
            let left = clock.left("resolve")?;
            let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(any).map_err(at("resolve"))?;
            socket.set_read_timeout(Some(left.min(Duration::from_millis(500)))).map_err(at("resolve"))?;
            if socket.connect((server, 53)).and_then(|()| socket.send(&query)).is_err() {
                std::thread::sleep(left.min(Duration::from_millis(50)));
                continue;
            }
            let mut buffer = [0; 4096];
            if let Ok(length) = socket.recv(&mut buffer) {
                if let Some(answer) = read(&buffer[..length], id) {
                    return Ok(answer);
                }
            }
        }
    }
}

fn query(id: u16, name: &str) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    // Recursion desired; one question.
    bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        let label = &label.as_bytes()[..label.len().min(63)];
        bytes.push(label.len() as u8);
        bytes.extend(label);
    }
    // The root, type A, class IN.
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}

/// Reads an answer; `None` if it is not one to query `id`.
fn read(bytes: &[u8], id: u16) -> Option<Result<Vec<Ipv4Addr>, String>> {
    let number = |place: usize| Some(u16::from_be_bytes([*bytes.get(place)?, *bytes.get(place + 1)?]));
    if number(0)? != id || bytes.get(2)? & 0x80 == 0 {
        return None;
    }
    match bytes.get(3)? & 0xf {
        0 => {}
        3 => return Some(Err("there is no such name".to_owned())),
        code => return Some(Err(format!("the resolver answered with code {code}"))),
    }
    let mut place = 12;
    for _ in 0..number(4)? {
        place = skip_name(bytes, place)? + 4;
    }
    let mut found = Vec::new();
    for _ in 0..number(6)? {
        place = skip_name(bytes, place)?;
        let (kind, length) = (number(place)?, usize::from(number(place + 8)?));
        let data = bytes.get(place + 10..place + 10 + length)?;
        if let (1, &[a, b, c, d]) = (kind, data) {
            found.push(Ipv4Addr::new(a, b, c, d));
        }
        place += 10 + length;
    }
    Some(Ok(found))
}

fn skip_name(bytes: &[u8], mut place: usize) -> Option<usize> {
    loop {
        match *bytes.get(place)? {
            0 => return Some(place + 1),
            pointer if pointer >= 0xc0 => return Some(place + 2),
            length => place += 1 + usize::from(length),
        }
    }
}

fn join(addresses: &[Ipv4Addr]) -> String {
    addresses.iter().map(Ipv4Addr::to_string).collect::<Vec<_>>().join(" ")
}
