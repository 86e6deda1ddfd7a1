//! Against a registry server that others wrote: Debian's package `docker-registry`, where it is installed.

use std::net::TcpListener;
use std::process::Stdio;

use super::*;

/// A running `docker-registry`; it ends with this.
struct Running {
    address: String,
    child: std::process::Child,
    folder: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Starts one on a free port, if it is installed. It sends everybody to `realm` for a token, and takes any.
#[allow(
    clippy::disallowed_types,
    reason = "a server that has to run beside the test"
)]
fn start(realm: &str) -> Option<Running> {
    let program = ["/usr/bin", "/usr/local/bin"]
        .map(|folder| Path::new(folder).join("docker-registry"))
        .into_iter()
        .chain(std::env::var_os("CARAVAN_DOCKER_REGISTRY").map(PathBuf::from))
        .find(|path| path.is_file());
    let Some(program) = program else {
        eprintln!("skipped: docker-registry is not installed");
        return None;
    };
    let folder = tempfile::tempdir().unwrap();
    let port = {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let address = format!("127.0.0.1:{port}");
    let config = folder.path().join("config.yml");
    let storage = folder.path().join("storage");
    fs::write(
        &config,
        format!(
            "version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '{address}'}}\n\
             storage: {{filesystem: {{rootdirectory: '{}'}}}}\n\
             auth: {{silly: {{realm: '{realm}', service: test}}}}\n",
            storage.display()
        ),
    )
    .unwrap();
    let child = std::process::Command::new(program)
        .arg("serve")
        .arg(&config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let running = Running {
        address,
        child,
        folder,
    };
    for _ in 0..1200 {
        if std::net::TcpStream::connect(&running.address).is_ok() {
            return Some(running);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("docker-registry does not answer");
}

impl Running {
    /// Sends with a token, as any client that may write would.
    fn put(&self, url: &str, kind: &str, bytes: &[u8]) {
        let response = ureq::put(url)
            .header("authorization", "Bearer any")
            .header("content-type", kind)
            .send(bytes)
            .unwrap();
        assert_eq!(response.status(), 201, "{url}");
    }

    fn push(&self, served: &Served) {
        let base = format!("http://{}/v2/flannel-io/flannel", self.address);
        for (sum, bytes) in &served.blobs {
            let response = ureq::post(format!("{base}/blobs/uploads/"))
                .header("authorization", "Bearer any")
                .send_empty()
                .unwrap();
            let place = response.headers()["location"].to_str().unwrap();
            let url = format!("{place}&digest=sha256:{sum}");
            self.put(&url, "application/octet-stream", bytes);
        }
        let kind = |what: &str| format!("application/vnd.oci.image.{what}.v1+json");
        let own = digest_of(&served.manifest);
        let url = format!("{base}/manifests/{own}");
        self.put(&url, &kind("manifest"), &served.manifest);
        let url = format!("{base}/manifests/v0.28.4");
        self.put(&url, &kind("index"), &served.index);
    }
}

#[test]
fn an_image_comes_from_a_registry_that_others_wrote() {
    let tokens = Server::start(&[("/token", Way::Well, br#"{"token": "any"}"#)]);
    let Some(running) = start(&format!("http://{}/token", tokens.address)) else {
        return;
    };
    let mut served = Served::new();
    // It refuses an index that names what it does not have.
    let mut index: serde_json::Value = serde_json::from_slice(&served.index).unwrap();
    index["manifests"].as_array_mut().unwrap().remove(0);
    served.index = serde_json::to_vec(&index).unwrap();
    running.push(&served);

    let downloads = running.folder.path().join("downloads");
    fs::create_dir(&downloads).unwrap();
    let downloader = Downloader::new(downloads, None, Duration::from_secs(20));
    let registry = Registry::new(&downloader, Some(format!("http://{}", running.address)));
    let image = Reference::parse(NAME).unwrap();
    let digest = registry.resolve(&image).unwrap();
    assert_eq!(digest, digest_of(&served.index));
    let (sum, bytes) = served.layer();
    fs::write(
        downloader.path(sum).with_extension("part"),
        &bytes[..bytes.len() / 2],
    )
    .unwrap();
    let archive = running.folder.path().join("flannel.tar");
    registry
        .pull(&image, &digest, Arch::Amd64, &archive, &Silent)
        .unwrap();
    served.assert_is(&archive);
    assert_eq!(tokens.requests(), ["/token"], "one token does for all");

    let gone = Reference::parse("ghcr.io/flannel-io/flannel:v0.0.0").unwrap();
    let error = registry.resolve(&gone).unwrap_err();
    assert!(
        matches!(error, Error::Denied { status: 404, .. }),
        "{error}"
    );
}
