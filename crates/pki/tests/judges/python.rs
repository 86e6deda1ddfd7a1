//! Python's ssl module in strict mode, over handshakes in memory.

use std::time::SystemTime;

use caravan_pki::store::Store;

use super::openssl::cluster;
use super::{judge, run};

const SCRIPT: &str = r#"
import ssl, sys
ca, server, client, name = sys.argv[1:5]

def context(purpose, pair):
    made = ssl.SSLContext(purpose)
    made.verify_mode = ssl.CERT_REQUIRED
    made.verify_flags |= ssl.VERIFY_X509_STRICT
    made.load_verify_locations(ca)
    made.load_cert_chain(pair + ".crt", pair + ".key")
    return made

to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
serving = context(ssl.PROTOCOL_TLS_SERVER, server).wrap_bio(to_server, to_client, server_side=True)
asking = context(ssl.PROTOCOL_TLS_CLIENT, client).wrap_bio(to_client, to_server, server_hostname=name)
try:
    done = [False, False]
    for _ in range(10):
        for index, side in enumerate((asking, serving)):
            try:
                side.do_handshake()
                done[index] = True
            except ssl.SSLWantReadError:
                pass
    print("ok" if all(done) else "stuck")
except ssl.SSLCertVerificationError as error:
    print(error.verify_code)
except ssl.SSLError as error:
    print(error.reason)
"#;

#[test]
fn handshakes() {
    let Some(python) = judge("python3") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("pki");
    let store = Store::open(&root).unwrap();
    store
        .ensure(&cluster().plan().unwrap(), SystemTime::now())
        .unwrap();
    let path = |id: &str| root.join(id).to_str().unwrap().to_owned();
    for (ca, server, client, name, verdict) in [
        (
            "etcd-ca.crt",
            "nodes/etcdone/etcd-server",
            "nodes/etcdone/etcd-server",
            "etcdone",
            "ok",
        ),
        (
            "etcd-ca.crt",
            "nodes/etcdone/etcd-server",
            "apiserver-etcd-client",
            "127.0.0.1",
            "ok",
        ),
        (
            "ca.crt",
            "nodes/masterone/apiserver",
            "operator",
            "192.168.29.80",
            "ok",
        ),
        // Codes of X509_V_ERR: invalid purpose, no issuer, name and address mismatch.
        (
            "etcd-ca.crt",
            "apiserver-etcd-client",
            "apiserver-etcd-client",
            "etcdone",
            "26",
        ),
        (
            "ca.crt",
            "nodes/etcdone/etcd-server",
            "operator",
            "etcdone",
            "20",
        ),
        (
            "ca.crt",
            "nodes/masterone/apiserver",
            "operator",
            "elsewhere",
            "62",
        ),
        (
            "ca.crt",
            "nodes/masterone/apiserver",
            "operator",
            "10.9.9.9",
            "64",
        ),
    ] {
        let args = ["-c", SCRIPT, &path(ca), &path(server), &path(client), name];
        let (_, said) = run(&python, &args, "");
        assert_eq!(said.trim(), verdict, "{server} to {client} as {name}");
    }
}
