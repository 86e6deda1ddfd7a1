//! A web server for tests, which treats files well or badly.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Condvar, Mutex};

/// How the server treats a file.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// Whole, or from where the client asks.
    Well,
    /// Always whole, whatever the client asks.
    Whole,
    /// The first answer ends half way though it promised all; later ones are good.
    CutOnce,
    /// Every answer ends before its first byte though it promised some.
    Cut,
    /// The first answer falls silent half way; later ones are good.
    StallOnce,
    /// Falls silent before the first byte.
    Stall,
    /// Answers with a status.
    Status(u16),
    /// Answers when four clients wait at once.
    Together,
    /// Whole, for those who show the token `pass`, which the server's file `/token` gives; others are sent there.
    Guarded,
}

/// A web server on a port of its own, for one test.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    address: SocketAddr,
    files: BTreeMap<String, (Way, Vec<u8>)>,
    requests: Mutex<Vec<String>>,
    answered: AtomicUsize,
    four: Barrier,
    /// Silent connections are held until the test ends.
    over: (Mutex<bool>, Condvar),
}

impl Server {
    pub(crate) fn start(files: &[(&str, Way, &[u8])]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            address,
            files: files
                .iter()
                .map(|&(path, way, content)| (path.to_owned(), (way, content.to_vec())))
                .collect(),
            requests: Mutex::default(),
            answered: AtomicUsize::new(0),
            four: Barrier::new(4),
            over: (Mutex::new(false), Condvar::new()),
        });
        let ours = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&ours);
                std::thread::spawn(move || shared.answer(stream.ok()?));
            }
        });
        Self { address, shared }
    }

    /// What was asked for: path, and the range if there was one.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        *self.shared.over.0.lock().unwrap() = true;
        self.shared.over.1.notify_all();
    }
}

impl Shared {
    fn answer(&self, mut stream: TcpStream) -> Option<()> {
        let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
        let path = lines
            .next()?
            .ok()?
            .split(' ')
            .nth(1)?
            .trim_start_matches("/host/")
            .to_owned();
        let path = path.split('?').next()?.to_owned();
        let mut from = None;
        let mut pass = false;
        for line in lines {
            let line = line.ok()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            pass |= line == "authorization: bearer pass";
            if let Some(range) = line.strip_prefix("range: bytes=") {
                from = range.trim_end_matches('-').parse::<usize>().ok();
            }
        }
        let asked = from.map_or_else(|| path.clone(), |from| format!("{path} from {from}"));
        self.requests.lock().unwrap().push(asked);
        let Some((way, content)) = self.files.get(&path) else {
            return write!(
                stream,
                "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
            )
            .ok();
        };
        if matches!(way, Way::Guarded) && !pass {
            let address = self.address;
            return write!(
                stream,
                "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\
                 www-authenticate: Bearer realm=\"http://{address}/token\",service=\"test\"\r\n\r\n"
            )
            .ok();
        }
        let first = self.answered.fetch_add(1, Ordering::SeqCst) == 0;
        let half = content.len() / 2;
        let send = match (way, first) {
            (Way::CutOnce | Way::StallOnce, true) => half,
            (Way::Cut | Way::Stall, _) => 0,
            _ => content.len(),
        };
        let from = if matches!(way, Way::Whole) {
            None
        } else {
            from
        };
        match (way, from) {
            (Way::Status(status), _) => {
                return write!(
                    stream,
                    "HTTP/1.1 {status} Said So\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                )
                .ok();
            }
            (_, Some(from)) if from >= content.len() => {
                return write!(
                    stream,
                    "HTTP/1.1 416 Range\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                )
                .ok();
            }
            (_, Some(from)) => {
                let (last, all) = (content.len() - 1, content.len());
                write!(
                    stream,
                    "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes {from}-{last}/{all}\r\n\
                     content-length: {}\r\nconnection: close\r\n\r\n",
                    all - from
                )
                .ok()?;
                stream.write_all(&content[from..]).ok()?;
                return Some(());
            }
            (Way::Together, None) => {
                self.four.wait();
            }
            _ => {}
        }
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            content.len()
        )
        .ok()?;
        stream.write_all(&content[..send]).ok()?;
        stream.flush().ok()?;
        if send < content.len() && matches!(way, Way::Stall | Way::StallOnce) {
            let mut over = self.over.0.lock().unwrap();
            while !*over {
                over = self.over.1.wait(over).unwrap();
            }
        }
        Some(())
    }
}
