//! A reader and a writer that use the API all the time over connections that are kept, as controllers do, and try once more
//! where they fail.

use std::fmt;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use caravan_process::Following;

use crate::{Tool, bundled_kubectl, kubectl};

/// How often each asks.
const EVERY: Duration = Duration::from_millis(50);

/// What time without an answer is told.
const PAUSE: Duration = Duration::from_millis(400);

/// How long a request may take; a second try begins at once, and so ends within a second.
const LIMIT: Duration = Duration::from_millis(500);

/// What one of them has seen.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// How many requests were answered, at the first or the second try.
    pub answered: usize,
    /// How many were answered at the second try alone.
    pub again: usize,
    /// How many were answered at neither, and why the first of these was not.
    pub failed: usize,
    /// Why, of the first that failed.
    pub why: Option<String>,
    /// The longest time from one answer to the next.
    pub longest: Duration,
    /// When an answer came after a pause that somebody would notice, since they were started, and how long that was.
    pub pauses: Vec<(Duration, Duration)>,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} answered, {} of them at the second try, {} failed, longest gap {} ms",
            self.answered,
            self.again,
            self.failed,
            self.longest.as_millis()
        )?;
        for (at, length) in &self.pauses {
            write!(
                f,
                "; {} ms before {:.1} s",
                length.as_millis(),
                at.as_secs_f32()
            )?;
        }
        match &self.why {
            Some(why) => write!(f, " ({why})"),
            None => Ok(()),
        }
    }
}

/// One of them.
struct User {
    name: &'static str,
    seen: Arc<Mutex<Seen>>,
    thread: JoinHandle<()>,
}

/// Both of them, until they are asked what they have seen.
pub struct Users {
    ends: Arc<AtomicBool>,
    users: Vec<User>,
    /// What holds their connections; it ends with them.
    _proxy: Following,
}

impl Users {
    /// Starts them, in the namespace `default`.
    ///
    /// # Panics
    ///
    /// When there is no `kubectl`, or it does not lead to the lab.
    pub fn start(tool: &Tool, lab: &str) -> Self {
        let (sender, said) = mpsc::channel();
        let proxy = bundled_kubectl(tool)
            .call(["proxy", "--port", "0"])
            .env("KUBECONFIG", tool.state(lab).join("kubeconfig"))
            .follow(move |line| drop(sender.send(line.to_owned())))
            .unwrap_or_else(|error| panic!("{error}"));
        let line = said
            .recv_timeout(Duration::from_secs(30))
            .expect("it says where it is");
        // Starting to serve on 127.0.0.1:38123
        let port = line
            .rsplit_once(':')
            .and_then(|(_, port)| port.trim().parse().ok());
        let port: u16 = port.unwrap_or_else(|| panic!("{line}"));
        drop(kubectl(
            tool,
            lab,
            &["delete", "configmap", "users", "--ignore-not-found"],
        ));
        drop(kubectl(tool, lab, &["create", "configmap", "users"]));
        let ends = Arc::new(AtomicBool::new(false));
        let path = "/api/v1/namespaces/default/configmaps/users";
        let read: Request = Box::new(move |_| format!("GET {path} HTTP/1.1\r\n{HEAD}\r\n"));
        let write: Request = Box::new(move |number| {
            let body = format!("{{\"data\":{{\"number\":\"{number}\"}}}}");
            format!(
                "PATCH {path} HTTP/1.1\r\n{HEAD}Content-Type: application/merge-patch+json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        });
        let users = [("reads", read), ("writes", write)].map(|(name, request)| {
            let seen = Arc::new(Mutex::new(Seen::default()));
            let (ends, shared) = (ends.clone(), seen.clone());
            let thread = std::thread::spawn(move || ask(port, &request, &shared, &ends));
            User { name, seen, thread }
        });
        Self {
            ends,
            users: users.into(),
            _proxy: proxy,
        }
    }

    /// Ends them; returns what the reader has seen, and the writer.
    ///
    /// # Panics
    ///
    /// When one of them was never answered.
    pub fn end(self) -> [Seen; 2] {
        self.ends.store(true, Ordering::Relaxed);
        let all = self.users.into_iter().map(|User { name, seen, thread }| {
            thread.join().expect("it does not panic");
            let seen = seen.lock().expect("nobody panics with it").clone();
            println!("TIME {name}: {seen}");
            assert!(seen.answered > 0, "{name}: {seen}");
            seen
        });
        let all: Vec<Seen> = all.collect();
        all.try_into().expect("two of them")
    }
}

/// The text of a request, by its number.
type Request = Box<dyn Fn(usize) -> String + Send>;

const HEAD: &str = "Host: 127.0.0.1\r\nConnection: close\r\n";

fn ask(port: u16, request: &Request, seen: &Mutex<Seen>, ends: &AtomicBool) {
    let started = Instant::now();
    let mut last = started;
    for number in 0.. {
        if ends.load(Ordering::Relaxed) {
            break;
        }
        let began = Instant::now();
        let text = request(number);
        let first = once(port, &text);
        let end = match &first {
            Ok(()) => Ok(()),
            Err(_) => once(port, &text),
        };
        let mut seen = seen.lock().expect("nobody panics with it");
        match end {
            Ok(()) => {
                seen.answered += 1;
                seen.again += usize::from(first.is_err());
                let pause = last.elapsed();
                seen.longest = seen.longest.max(pause);
                if pause > PAUSE {
                    seen.pauses.push((started.elapsed(), pause));
                }
                last = Instant::now();
            }
            Err(why) => {
                seen.failed += 1;
                seen.why.get_or_insert(why);
            }
        }
        drop(seen);
        std::thread::sleep(EVERY.saturating_sub(began.elapsed()));
    }
}

/// One try; why it failed, if it did.
fn once(port: u16, request: &str) -> Result<(), String> {
    let told = |error: std::io::Error| error.to_string();
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map_err(told)?;
    socket.set_read_timeout(Some(LIMIT)).map_err(told)?;
    socket.write_all(request.as_bytes()).map_err(told)?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).map_err(told)?;
    match answer.starts_with("HTTP/1.1 200 ") {
        true => Ok(()),
        false => Err(answer.chars().take(300).collect()),
    }
}
