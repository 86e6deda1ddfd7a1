//! A client that holds what the API says, as controllers do: it lists, watches from there, and lists again when it is told
//! that its revision is gone.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use caravan_process::Program;
use serde_json::Value;

use crate::{Tool, bundled_kubectl};

/// How long is waited before something that failed is tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// How often is looked whether to stop.
const LOOK: Duration = Duration::from_millis(100);

/// How long the server keeps a watch, in seconds; a connection to a server that is gone may be silent for longer.
const WATCH_S: u64 = 20;

/// What it holds, and what it was told.
#[derive(Default)]
struct Held {
    /// Each object's name and revision.
    objects: BTreeMap<String, String>,
    /// The revision that it watches from.
    from: String,
    /// How often it was told that its revision is gone.
    gone: usize,
    /// How often it has listed.
    lists: usize,
}

/// It, on a thread of its own, until it is dropped.
pub struct Informer {
    held: Arc<Mutex<Held>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Where the API is, and what of it is held.
struct Source {
    kubectl: Program,
    kubeconfig: std::path::PathBuf,
    path: String,
}

impl Informer {
    /// Starts to hold what the list at `path` has, such as `/api/v1/namespaces/x/configmaps`, and returns when it does.
    ///
    /// # Panics
    ///
    /// When there is no `kubectl`, or the list does not come within a minute.
    pub fn start(tool: &Tool, lab: &str, path: &str) -> Self {
        let source = Source {
            kubectl: bundled_kubectl(tool),
            kubeconfig: tool.state(lab).join("kubeconfig"),
            path: path.to_owned(),
        };
        let (held, ends) = (
            Arc::new(Mutex::new(Held::default())),
            Arc::new(AtomicBool::new(false)),
        );
        let shared = (Arc::clone(&held), Arc::clone(&ends));
        let informer = Self {
            held,
            ends,
            thread: Some(std::thread::spawn(move || {
                run(&source, &shared.0, &shared.1)
            })),
        };
        let began = Instant::now();
        while lock(&informer.held).lists == 0 {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "no list of {path}"
            );
            std::thread::sleep(LOOK);
        }
        informer
    }

    /// Each object's name and revision, as it holds them.
    pub fn objects(&self) -> BTreeMap<String, String> {
        lock(&self.held).objects.clone()
    }

    /// How often it was told that its revision is gone.
    pub fn gone(&self) -> usize {
        lock(&self.held).gone
    }

    /// How often it has listed.
    pub fn lists(&self) -> usize {
        lock(&self.held).lists
    }
}

impl Drop for Informer {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().expect("nobody panics with it")
}

fn run(source: &Source, held: &Arc<Mutex<Held>>, ends: &AtomicBool) {
    let mut must_list = true;
    while !ends.load(Ordering::Relaxed) {
        if must_list {
            must_list = !source.list(held);
        } else {
            must_list = source.watch(held, ends);
        }
        if must_list {
            std::thread::sleep(PAUSE);
        }
    }
}

impl Source {
    /// Whether it could.
    fn list(&self, held: &Mutex<Held>) -> bool {
        let listed = self
            .kubectl
            .call(["get", "--raw", &self.path, "--request-timeout", "10s"])
            .env("KUBECONFIG", &self.kubeconfig)
            .timeout(Duration::from_secs(20))
            .run();
        let Ok(listed) = listed else { return false };
        let Ok(list) = serde_json::from_str::<Value>(&listed.stdout) else {
            return false;
        };
        let items = list["items"].as_array().into_iter().flatten();
        let mut held = lock(held);
        held.objects = items.filter_map(named).collect();
        held.from = text(&list["metadata"]["resourceVersion"]);
        held.lists += 1;
        true
    }

    /// Watches until the watch ends; whether its revision is gone, so that it must list again.
    fn watch(&self, held: &Arc<Mutex<Held>>, ends: &AtomicBool) -> bool {
        let path = format!(
            "{}?watch=1&allowWatchBookmarks=true&timeoutSeconds={WATCH_S}&resourceVersion={}",
            self.path,
            lock(held).from
        );
        let (told, heard) = channel();
        let shared = Arc::clone(held);
        let following = self
            .kubectl
            .call(["get", "--raw", &path])
            .env("KUBECONFIG", &self.kubeconfig)
            .follow(move |line| {
                if take(&mut lock(&shared), line) {
                    told.send(()).ok();
                }
            });
        let Ok(following) = following else {
            return false;
        };
        let began = Instant::now();
        while !following.ended() && !ends.load(Ordering::Relaxed) {
            // A server that is gone does not end it.
            if began.elapsed() > Duration::from_secs(WATCH_S + 5) {
                break;
            }
            std::thread::sleep(LOOK);
        }
        drop(following);
        let gone = heard.try_recv().is_ok();
        if gone {
            lock(held).gone += 1;
        }
        gone
    }
}

/// Takes in what a watch tells; whether it tells that the revision is gone.
fn take(held: &mut Held, line: &str) -> bool {
    let Ok(event) = serde_json::from_str::<Value>(line) else {
        // Error from server (Expired): ...
        return line.contains("(Expired)") || line.contains("(Gone)");
    };
    let object = &event["object"];
    match event["type"].as_str() {
        Some("ADDED" | "MODIFIED") => held.objects.extend(named(object)),
        Some("DELETED") => {
            held.objects.remove(&text(&object["metadata"]["name"]));
        }
        Some("BOOKMARK") => {}
        Some("ERROR") => return object["code"].as_u64() == Some(410),
        _ => return false,
    }
    held.from = text(&object["metadata"]["resourceVersion"]);
    false
}

fn named(object: &Value) -> Option<(String, String)> {
    let metadata = &object["metadata"];
    let name = metadata["name"].as_str()?;
    Some((name.to_owned(), text(&metadata["resourceVersion"])))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_watch_tells_is_held() {
        let mut held = Held::default();
        let event = |kind: &str, name: &str, revision: u64| {
            format!(
                r#"{{"type":"{kind}","object":{{"metadata":{{"name":"{name}","resourceVersion":"{revision}"}}}}}}"#
            )
        };
        for (kind, name, revision) in [
            ("ADDED", "a", 1),
            ("ADDED", "b", 2),
            ("MODIFIED", "a", 3),
            ("DELETED", "b", 4),
            ("BOOKMARK", "", 9),
        ] {
            assert!(!take(&mut held, &event(kind, name, revision)));
        }
        assert_eq!(
            held.objects,
            BTreeMap::from([("a".to_owned(), "3".to_owned())])
        );
        assert_eq!(held.from, "9");
        let gone = r#"{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}"#;
        assert!(take(&mut held, gone));
        assert!(take(
            &mut held,
            "Error from server (Expired): too old resource version: 1 (9)"
        ));
        assert!(!take(
            &mut held,
            "Error from server (ServiceUnavailable): no"
        ));
        assert_eq!(held.from, "9");
    }
}
