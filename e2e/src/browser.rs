//! A browser without a screen: what a page of ours asks for, says, and looks like.
//!
//! Chromium is spoken to by its DevTools protocol over two pipes, so no port is opened, and it runs in a network namespace of
//! its own, in which there is no network: whatever a page or the browser itself would ask for, nobody is asked.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use caravan_process::{Following, Program};
use serde_json::{Value, json};

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(60);

/// How a page is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// What its picture is called.
    pub name: &'static str,
    /// How wide the window is, in CSS pixels.
    pub width: u32,
    /// What the user prefers: `light` or `dark`.
    pub scheme: &'static str,
    /// `screen` or `print`.
    pub medium: &'static str,
}

/// The four forms that a page must look well in.
pub const FORMS: [Form; 4] = [
    form("light", 1280, "light", "screen"),
    form("dark", 1280, "dark", "screen"),
    // A4 between its margins, at 96 pixels an inch.
    form("print", 688, "light", "print"),
    form("narrow", 400, "light", "screen"),
];

const fn form(name: &'static str, width: u32, scheme: &'static str, medium: &'static str) -> Form {
    Form {
        name,
        width,
        scheme,
        medium,
    }
}

/// A page that was opened.
#[derive(Debug)]
pub struct Loaded {
    /// What it asked for, beside itself.
    pub requests: Vec<String>,
    /// What it said of errors.
    pub errors: Vec<String>,
    /// From the beginning of its loading until it was painted.
    pub painted: Duration,
    /// By how many pixels it is wider than the window.
    pub overflow: i64,
}

/// A browser; it ends when this is dropped.
pub struct Browser {
    to: File,
    answers: Receiver<Value>,
    waiting: VecDeque<Value>,
    next: u64,
    session: String,
    _following: Following,
    _folder: PathBuf,
}

impl Browser {
    /// Starts one, with its own files in `folder`.
    ///
    /// # Panics
    ///
    /// Where there is none, or namespaces may not be made.
    pub fn start(folder: &Path) -> Self {
        let (input, output) = (folder.join("to"), folder.join("from"));
        let run = |program: &str, args: &[&str]| {
            Program::find(program)
                .and_then(|program| program.call(args).run())
                .unwrap_or_else(|error| panic!("{error}"))
        };
        run("mkfifo", &[text(&input), text(&output)]);
        let chromium = Program::find("chromium")
            .unwrap_or_else(|error| panic!("{error}: `cargo xtask setup --checkers` installs it"));
        let script = "exec \"$1\" --headless --hide-scrollbars --no-sandbox --disable-gpu --no-first-run --disable-sync \
                      --disable-background-networking --disable-component-update --user-data-dir=\"$2/profile\" \
                      --remote-debugging-pipe about:blank 3<\"$2/to\" 4>\"$2/from\"";
        let args = [
            "--net",
            "sh",
            "-c",
            script,
            "sh",
            text(chromium.path()),
            text(folder),
        ];
        let following = Program::find("unshare")
            .and_then(|unshare| unshare.call(args).follow(|_| {}))
            .unwrap_or_else(|error| panic!("{error}"));
        // Opened for both, so that nobody waits here for a browser that never came.
        let open = |path: &Path| {
            let opened = File::options().read(true).write(true).open(path);
            opened.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        let (to, from) = (open(&input), open(&output));
        let mut browser = Self {
            to,
            answers: listen(from),
            waiting: VecDeque::new(),
            next: 0,
            session: String::new(),
            _following: following,
            _folder: folder.to_owned(),
        };
        let target = browser.ask("Target.createTarget", json!({"url": "about:blank"}));
        let attached = browser.ask(
            "Target.attachToTarget",
            json!({"targetId": target["targetId"], "flatten": true}),
        );
        browser.session = attached["sessionId"]
            .as_str()
            .expect("a session")
            .to_owned();
        for domain in ["Page", "Network", "Runtime", "Log"] {
            browser.ask(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Opens a file in a form.
    ///
    /// # Panics
    ///
    /// When it is not there after a minute.
    pub fn open(&mut self, file: &Path, form: Form) -> Loaded {
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": form.width, "height": 900, "deviceScaleFactor": 1, "mobile": false}),
        );
        let features = json!([{"name": "prefers-color-scheme", "value": form.scheme}]);
        self.ask(
            "Emulation.setEmulatedMedia",
            json!({"media": form.medium, "features": features}),
        );
        self.waiting.clear();
        let url = format!("file://{}", file.display());
        self.ask("Page.navigate", json!({"url": url}));
        let events = self.until("Page.loadEventFired");
        let painted = self.evaluate(
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))))",
        );
        let overflow = self.evaluate("document.documentElement.scrollWidth - innerWidth");
        let events: Vec<Value> = events.into_iter().chain(self.waiting.drain(..)).collect();
        Loaded {
            requests: requests(&events, &url),
            errors: errors(&events),
            painted: Duration::from_secs_f64(painted.as_f64().expect("a number") / 1000.0),
            overflow: overflow.as_i64().expect("a number"),
        }
    }

    /// Takes a picture of the whole page, or of its first `most` pixels from above.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn picture(&mut self, file: &Path, most: u64) {
        let metrics = self.ask("Page.getLayoutMetrics", json!({}));
        let size = &metrics["cssContentSize"];
        let height = size["height"].as_f64().expect("a number").min(most as f64);
        let clip = json!({"x": 0, "y": 0, "width": size["width"], "height": height, "scale": 1});
        let shot = self.ask(
            "Page.captureScreenshot",
            json!({"format": "png", "captureBeyondViewport": true, "clip": clip}),
        );
        let data = shot["data"].as_str().expect("a picture");
        let picture = STANDARD.decode(data).expect("base64");
        std::fs::write(file, picture).expect("written");
    }

    /// What an expression of JavaScript comes to in the page.
    ///
    /// # Panics
    ///
    /// When it throws.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let ended = self.ask(
            "Runtime.evaluate",
            json!({"expression": expression, "awaitPromise": true, "returnByValue": true}),
        );
        assert!(ended.get("exceptionDetails").is_none(), "{ended}");
        ended["result"]["value"].clone()
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let id = self.next;
        let mut asked = json!({"id": id, "method": method, "params": params});
        if !self.session.is_empty() {
            asked["sessionId"] = self.session.as_str().into();
        }
        write!(self.to, "{asked}\0").expect("the browser listens");
        let limit = Instant::now() + ANSWER;
        loop {
            let answer = self.hear(limit, method);
            if answer["id"] == id {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].clone();
            }
            self.waiting.push_back(answer);
        }
    }

    /// Everything that is told up to an event of this name.
    fn until(&mut self, event: &str) -> Vec<Value> {
        let mut told: Vec<Value> = self.waiting.drain(..).collect();
        let limit = Instant::now() + ANSWER;
        while !told.iter().any(|it| it["method"] == event) {
            told.push(self.hear(limit, event));
        }
        told
    }

    fn hear(&self, limit: Instant, what: &str) -> Value {
        let left = limit.saturating_duration_since(Instant::now());
        let heard = self.answers.recv_timeout(left);
        heard.unwrap_or_else(|_| panic!("the browser does not answer: {what}"))
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("it is text")
}

/// Messages end with a byte of zero.
fn listen(from: File) -> Receiver<Value> {
    let (send, answers) = channel();
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut message = Vec::new();
        while let Ok(1..) = from.read_until(0, &mut message) {
            message.pop();
            let told = serde_json::from_slice(&message).unwrap_or(Value::Null);
            // Who does not listen any more need not be told.
            if send.send(told).is_err() {
                return;
            }
            message.clear();
        }
    });
    answers
}

fn requests(events: &[Value], page: &str) -> Vec<String> {
    let sent = events
        .iter()
        .filter(|it| it["method"] == "Network.requestWillBeSent");
    let urls = sent.filter_map(|it| it["params"]["request"]["url"].as_str());
    let others = urls.filter(|url| *url != page && !url.starts_with("data:"));
    others.map(str::to_owned).collect()
}

fn errors(events: &[Value]) -> Vec<String> {
    let is_error = |it: &&Value| {
        let params = &it["params"];
        match it["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Runtime.consoleAPICalled") => ["error", "warning"]
                .iter()
                .any(|kind| params["type"] == *kind),
            Some("Log.entryAdded") => params["entry"]["level"] == "error",
            _ => false,
        }
    };
    events
        .iter()
        .filter(is_error)
        .map(ToString::to_string)
        .collect()
}
