//! rustls-webpki judges every row and every negative case.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use caravan_pki::kubernetes::{Cluster, Node};
use caravan_pki::verify::{Purpose, Refusal, Verifier};
use caravan_pki::{
    Authority, AuthoritySpec, Certificate, CommonName, Error, Identity, Item, Leaf, Lifetime, San,
    Sans, Usage,
};

const DAY: Duration = Duration::from_secs(86_400);

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn name(name: &str) -> CommonName {
    CommonName::try_from(name).unwrap()
}

fn server(name: &str) -> Purpose {
    Purpose::Server(San::try_from(name).unwrap())
}

fn refusal(result: Result<(), Error>) -> Option<Refusal> {
    match result {
        Ok(()) => None,
        Err(Error::Untrusted { refusal, .. }) => Some(refusal),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn every_certificate_is_accepted_in_its_role_and_no_other() {
    let cluster = Cluster::new("192.168.29.80:6443")
        .unwrap()
        .with_control_plane(Node::new("masterone", [192, 168, 29, 51].into()).unwrap())
        .with_worker(Node::new("workerone", [192, 168, 29, 55].into()).unwrap())
        .with_etcd(Node::new("etcdone", [192, 168, 29, 61].into()).unwrap());
    let plan = cluster.plan().unwrap();
    let pki = plan.make(now()).unwrap();
    let mut judged = 0;
    for entry in plan.entries() {
        let Item::Leaf { issuer, leaf } = entry.item() else {
            continue;
        };
        judged += 1;
        let id = entry.id().as_str();
        let certificate = pki.identity(id).unwrap().certificate();
        let authority = pki.authority(issuer.as_str()).unwrap();
        let verifier = Verifier::new([authority.certificate()]);
        let judge = |purpose: &Purpose| refusal(verifier.verify(&[certificate], purpose, now()));
        // What has no names is no server, whatever it is asked for.
        let node = id.split('/').nth(1).unwrap_or("masterone");
        let refused = |usage| (!leaf.usages().contains(&usage)).then_some(Refusal::WrongUsage);
        let roles = (judge(&Purpose::Client), judge(&server(node)));
        let expected = (refused(Usage::ClientAuth), refused(Usage::ServerAuth));
        assert_eq!(roles, expected, "{id}");
        for san in certificate.sans() {
            assert_eq!(judge(&Purpose::Server(san.clone())), None, "{id} {san}");
        }
        let other = if issuer.as_str() == "ca" {
            "etcd-ca"
        } else {
            "ca"
        };
        let wrong = Verifier::new([pki.authority(other).unwrap().certificate()]);
        let purpose = match leaf.usages() {
            [Usage::ServerAuth] => server(node),
            _ => Purpose::Client,
        };
        let refused = refusal(wrong.verify(&[certificate], &purpose, now()));
        assert_eq!(refused, Some(Refusal::UnknownIssuer), "{id}");
    }
    // 3 of etcd's member, 8 of the master, the worker's kubelet, API servers' for etcd, the operator's.
    assert_eq!(judged, 3 + 8 + 1 + 1 + 1);
}

struct Fixture {
    ca: Authority,
    web: Identity,
}

impl Fixture {
    fn new() -> Self {
        let ca = Authority::create(&AuthoritySpec::new(name("ca")), now()).unwrap();
        let sans = Sans::parse([
            "web.example.com",
            "*.apps.example.com",
            "10.0.0.1",
            "spiffe://example.com/web",
        ]);
        let web = ca
            .issue(&Leaf::server(name("web"), sans.unwrap()), now())
            .unwrap();
        Self { ca, web }
    }

    fn judge(
        &self,
        certificate: &Certificate,
        purpose: &Purpose,
        now: SystemTime,
    ) -> Option<Refusal> {
        let verifier = Verifier::new([self.ca.certificate()]);
        refusal(verifier.verify(&[certificate], purpose, now))
    }
}

#[test]
fn names() {
    let fixture = Fixture::new();
    for (name, accepted) in [
        ("web.example.com", true),
        ("a.apps.example.com", true),
        ("10.0.0.1", true),
        ("spiffe://example.com/web", true),
        ("example.com", false),
        ("a.b.apps.example.com", false),
        ("web", false),
        ("10.0.0.2", false),
        ("spiffe://example.com/other", false),
    ] {
        let result = fixture.judge(fixture.web.certificate(), &server(name), now());
        let expected = (!accepted).then_some(Refusal::WrongName);
        assert_eq!(result, expected, "{name}");
    }
}

#[test]
fn times() {
    let fixture = Fixture::new();
    let certificate = fixture.web.certificate();
    let purpose = server("web.example.com");
    let judge = |now| fixture.judge(certificate, &purpose, now);
    assert_eq!(judge(now()), None);
    assert_eq!(judge(certificate.validity().not_after()), None);
    assert_eq!(judge(now() + 366 * DAY), Some(Refusal::Expired));
    assert_eq!(judge(now() - DAY), Some(Refusal::NotYetValid));
    // The root has ended too, which webpki alone would not say.
    assert_eq!(judge(now() + 4000 * DAY), Some(Refusal::Expired));
}

#[test]
fn issuers() {
    let fixture = Fixture::new();
    let again = Authority::create(&AuthoritySpec::new(name("ca")), now()).unwrap();
    let other = Authority::create(&AuthoritySpec::new(name("other")), now()).unwrap();
    let client = Leaf::client(name("x"));
    for (authority, expected) in [
        (&again, Refusal::InvalidSignature),
        (&other, Refusal::UnknownIssuer),
    ] {
        let impostor = authority.issue(&client, now()).unwrap();
        let result = fixture.judge(impostor.certificate(), &Purpose::Client, now());
        assert_eq!(result, Some(expected));
    }
    let ca = fixture.ca.certificate();
    assert_eq!(
        fixture.judge(ca, &Purpose::Client, now()),
        Some(Refusal::IsAuthority)
    );
    let nobody = Verifier::new([]);
    let result = nobody.verify(&[fixture.web.certificate()], &Purpose::Client, now());
    assert_eq!(refusal(result), Some(Refusal::UnknownIssuer));
    assert!(nobody.verify(&[], &Purpose::Client, now()).is_err());
}

#[test]
fn chains() {
    let root = AuthoritySpec::new(name("root")).with_path_length(1);
    let root = Authority::create(&root, now()).unwrap();
    let spec = AuthoritySpec::new(name("issuing")).with_lifetime(Lifetime::days(1000));
    let issuing = root.intermediate(&spec, now()).unwrap();
    let leaf = issuing.issue(&Leaf::client(name("x")), now()).unwrap();
    let verifier = Verifier::new([root.certificate()]);
    let judge = |chain: &[&Certificate]| refusal(verifier.verify(chain, &Purpose::Client, now()));
    assert_eq!(judge(&[leaf.certificate(), issuing.certificate()]), None);
    assert_eq!(judge(&[leaf.certificate()]), Some(Refusal::UnknownIssuer));
    let chain = Certificate::all_from_pem(leaf.chain_pem().as_bytes()).unwrap();
    assert_eq!(judge(&chain.iter().collect::<Vec<_>>()), None);

    let error = root
        .intermediate(&spec.clone().with_path_length(1), now())
        .unwrap_err();
    assert!(matches!(error, Error::NotACa { .. }), "{error}");
    let error = issuing.issue(
        &Leaf::client(name("x")).with_lifetime(Lifetime::days(1001)),
        now(),
    );
    assert!(matches!(error, Err(Error::OutlivesIssuer { .. })));
}

#[test]
fn revocation() {
    let fixture = Fixture::new();
    let purpose = server("web.example.com");
    let week = Lifetime::days(7);
    let other = fixture.ca.issue(&Leaf::client(name("x")), now()).unwrap();
    let list = |revoked: &[&Certificate]| {
        fixture
            .ca
            .revoke(revoked.iter().copied(), 1, week, now())
            .unwrap()
    };
    for (list, expected) in [
        (list(&[]), None),
        (list(&[other.certificate()]), None),
        (
            list(&[fixture.web.certificate(), other.certificate()]),
            Some(Refusal::Revoked),
        ),
    ] {
        let verifier = Verifier::new([fixture.ca.certificate()]).with_revocation_list(&list);
        let result = verifier.verify(&[fixture.web.certificate()], &purpose, now());
        assert_eq!(refusal(result), expected);
    }
}

#[test]
fn a_certificate_can_be_made_again_from_itself() {
    let fixture = Fixture::new();
    let old = fixture.web.certificate();
    let leaf = Leaf::from_certificate(old).unwrap();
    let later = now() + 300 * DAY;
    let new = fixture
        .ca
        .certify(&leaf, &old.public_key().unwrap(), later)
        .unwrap();
    assert_eq!(new.sans(), old.sans());
    assert_eq!(new.usages(), old.usages());
    assert_ne!(new.serial(), old.serial());
    let length = |certificate: &Certificate| {
        let validity = certificate.validity();
        validity
            .not_after()
            .duration_since(validity.not_before())
            .unwrap()
    };
    assert_eq!(length(&new), length(old));
    assert!(Leaf::from_certificate(fixture.ca.certificate()).is_err());
}

#[test]
fn name_constraints_hold_here_and_in_webpki() {
    use caravan_pki::{DnsName, Subtree};
    let spec = AuthoritySpec::new(name("ca"));
    let free = Authority::create(&spec, now()).unwrap();
    let bound = Authority::create_with_key(
        &spec.with_permitted([
            Subtree::Domain(DnsName::try_from("example.com").unwrap()),
            Subtree::Network("10.0.0.0".parse().unwrap(), 8),
        ]),
        caravan_pki::PrivateKey::from_pem(free.key_pem().as_bytes()).unwrap(),
        now(),
    )
    .unwrap();
    for (san, allowed) in [
        ("web.example.com", true),
        ("10.1.1.1", true),
        ("example.org", false),
        ("11.1.1.1", false),
    ] {
        let leaf = Leaf::server(name("web"), Sans::parse([san]).unwrap());
        assert_eq!(bound.issue(&leaf, now()).is_ok(), allowed, "{san}");
        // The same key without the constraint signs it; webpki, which trusts the bound one, refuses it.
        let made = free.issue(&leaf, now()).unwrap();
        let result =
            Verifier::new([bound.certificate()]).verify(&[made.certificate()], &server(san), now());
        let expected = (!allowed).then_some(Refusal::NotAllowedByIssuer);
        assert_eq!(refusal(result), expected, "{san}");
    }
    let all = [bound.certificate().clone()];
    assert_eq!(caravan_pki::lint::certificates(&all, now()), []);
}
