//! Every certificate of a lab: here, on its machines' disks, and as its servers show them; when it ends, and who uses it.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use caravan_cluster::certificates::{self, SeenAt, SeenCertificate, SeenCertificates};
use caravan_cluster::status::EXPIRY_DAYS;
use caravan_cluster::{Access, Certificate};
use caravan_lab::{Lab, Machine};
use caravan_render::{pki_plan, purpose_of};
use serde::Serialize;

use crate::{Error, LabTarget};

/// What kubeadm and the kubelet make on nodes, and who uses it; the rest is in the table of machines' files.
const MADE_THERE: [(&str, &str); 11] = [
    (
        "/etc/kubernetes/admin.conf",
        "kubectl and kubeadm on this master",
    ),
    (
        "/etc/kubernetes/controller-manager.conf",
        "the controller manager, as the API's client",
    ),
    (
        "/etc/kubernetes/kubelet.conf",
        "the kubelet, as the API's client",
    ),
    (
        "/etc/kubernetes/pki/apiserver-kubelet-client.crt",
        "the API server, as kubelets' client",
    ),
    (
        "/etc/kubernetes/pki/apiserver.crt",
        "the API server, for everybody",
    ),
    (
        "/etc/kubernetes/pki/front-proxy-client.crt",
        "the API server, as the client of aggregated APIs",
    ),
    (
        "/etc/kubernetes/scheduler.conf",
        "the scheduler, as the API's client",
    ),
    (
        "/etc/kubernetes/super-admin.conf",
        "kubeadm, where rights are not given yet",
    ),
    (
        "/var/lib/kubelet/pki/kubelet-client-caravan.pem",
        "the kubelet, until it has renewed it",
    ),
    (
        "/var/lib/kubelet/pki/kubelet-client-current.pem",
        "the kubelet, as the API's client; it renews it itself",
    ),
    (
        "/var/lib/kubelet/pki/kubelet.crt",
        "the kubelet, for API servers; it makes it itself",
    ),
];

/// One certificate at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CertificateLine {
    /// The machine that has it; none for this computer.
    pub machine: Option<String>,
    /// The file, or the address of the server that shows it.
    pub place: String,
    /// The common name of its subject.
    pub subject: String,
    /// Its issuer.
    pub issuer: String,
    /// When it ends, RFC 3339, UTC.
    pub not_after: String,
    /// In how many days that is; negative where it has ended.
    pub days_left: i64,
    /// Who uses it.
    pub used_by: String,
    /// What is not as it should be, for people.
    pub problem: Option<String>,
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CertificatesReport {
    /// Each certificate: on this computer, then of each machine.
    pub certificates: Vec<CertificateLine>,
    /// Who was not heard, and why.
    pub silent: Vec<String>,
}

impl CertificatesReport {
    /// Whether all are as they should be, and all were heard.
    pub fn is_well(&self) -> bool {
        self.silent.is_empty() && self.certificates.iter().all(|it| it.problem.is_none())
    }
}

/// Lists them: those of the store, and, of machines that run, those on disk and those that are served.
///
/// # Errors
///
/// [`Error::NotNear`] where machines run and their network is not here, [`Error::Read`],
/// [`Error::Render`], [`Error::Vagrant`].
pub fn list(target: &LabTarget, lab: &Lab, access: &Access) -> Result<CertificatesReport, Error> {
    let now = SystemTime::now();
    let mut lines = of_store(target, lab, access, now)?;
    let names = target.running()?;
    let runs = |machine: &&Machine| names.contains(&machine.name);
    let running: Vec<&Machine> = lab.machines().iter().filter(runs).collect();
    let mut silent: Vec<String> = lab
        .machines()
        .iter()
        .filter(|machine| !runs(machine))
        .map(|machine| format!("{}: it does not run", machine.name))
        .collect();
    if !running.is_empty() {
        crate::reach::check(lab)?;
        let told = certificates::ask(access, &running)?;
        lines.extend(of_machines(&told, now));
        silent.extend(told.silent);
    }
    Ok(CertificatesReport {
        certificates: lines,
        silent,
    })
}

/// Those that this computer has.
fn of_store(
    target: &LabTarget,
    lab: &Lab,
    access: &Access,
    now: SystemTime,
) -> Result<Vec<CertificateLine>, Error> {
    let folder = target.dir.pki();
    let plan = pki_plan(lab)?;
    let files = plan.entries().iter().filter_map(|it| it.files().public);
    let mut lines = Vec::new();
    for file in files.filter(|file| Path::new(file).extension().is_some_and(|it| it == "crt")) {
        let path = folder.join(&file);
        let text = std::fs::read(&path).map_err(|source| Error::Read {
            path: path.clone(),
            source,
        })?;
        for certificate in caravan_pki::Certificate::all_from_pem(&text)? {
            if let Some(found) = (access.inspect)(certificate.as_der()) {
                let mut line = line(&found, now);
                line.place = format!("pki/{file}");
                line.used_by = "machines' files are made from it".to_owned();
                lines.push(line);
            }
        }
    }
    Ok(lines)
}

fn of_machines(told: &SeenCertificates, now: SystemTime) -> Vec<CertificateLine> {
    let seen = told.seen.iter();
    seen.map(|it| of_machine(it, &told.seen, now)).collect()
}

fn of_machine(it: &SeenCertificate, all: &[SeenCertificate], now: SystemTime) -> CertificateLine {
    let mut line = line(&it.certificate, now);
    match &it.at {
        SeenAt::File { machine, path } => {
            line.machine = Some(machine.clone());
            line.place.clone_from(path);
            line.used_by = used_by(path);
        }
        SeenAt::Served { machine, at, from } => {
            line.machine = Some(machine.clone());
            line.place = format!("served at {at}");
            line.used_by = used_by(from);
            // The first of a file is the server's own.
            let on_disk = all.iter().find(|other| match &other.at {
                SeenAt::File { machine: of, path } => of == machine && path == from,
                SeenAt::Served { .. } => false,
            });
            if on_disk.is_some_and(|disk| disk.der != it.der) {
                let other =
                    format!("it is not the one in {from}: the server has not read it again");
                line.problem.get_or_insert(other);
            }
        }
    }
    line
}

fn used_by(path: &str) -> String {
    let there = MADE_THERE.iter().find(|(known, _)| *known == path);
    let known = there.map(|(_, by)| *by).or_else(|| purpose_of(path));
    known.unwrap_or("not known").to_owned()
}

fn line(certificate: &Certificate, now: SystemTime) -> CertificateLine {
    let now_s = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since: Duration| since.as_secs().cast_signed());
    let days_left = (certificate.not_after - now_s).div_euclid(86_400);
    let end = jiff::Timestamp::from_second(certificate.not_after);
    CertificateLine {
        machine: None,
        place: String::new(),
        subject: certificate.subject.clone(),
        issuer: certificate.issuer.clone(),
        not_after: end.map_or_else(|_| "never".to_owned(), |end| end.to_string()),
        days_left,
        used_by: String::new(),
        problem: match days_left {
            ..0 => Some("it has ended".to_owned()),
            0..EXPIRY_DAYS => Some(format!("it ends in {days_left} days")),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn certificate(days: i64) -> Certificate {
        Certificate {
            subject: "etcdone".to_owned(),
            issuer: "etcd-ca".to_owned(),
            names: Vec::new(),
            server: true,
            client: false,
            public_key_sha256: String::new(),
            not_after: 1_000 * DAY + days * DAY + 60,
        }
    }

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_000 * 86_400)
    }

    fn file(path: &str, der: u8, days: i64) -> SeenCertificate {
        SeenCertificate {
            at: SeenAt::File {
                machine: "etcdone".to_owned(),
                path: path.to_owned(),
            },
            der: vec![der],
            certificate: certificate(days),
        }
    }

    fn served(der: u8) -> SeenCertificate {
        SeenCertificate {
            at: SeenAt::Served {
                machine: "etcdone".to_owned(),
                at: "192.168.29.61:2379".parse().expect("an address"),
                from: "/etc/etcd/pki/server.crt",
            },
            der: vec![der],
            certificate: certificate(100),
        }
    }

    #[test]
    fn what_ends_soon_is_told() {
        let problem = |days| line(&certificate(days), now()).problem;
        assert_eq!(problem(30), None);
        assert_eq!(problem(29).as_deref(), Some("it ends in 29 days"));
        assert_eq!(problem(0).as_deref(), Some("it ends in 0 days"));
        assert_eq!(problem(-1).as_deref(), Some("it has ended"));
        assert_eq!(
            line(&certificate(30), now()).not_after,
            "1972-10-27T00:01:00Z"
        );
    }

    #[test]
    fn what_is_served_and_is_not_on_the_disk_is_told() {
        let lines = |served_der| {
            let told = SeenCertificates {
                seen: vec![
                    file("/etc/etcd/pki/peer.crt", 9, 100),
                    file("/etc/etcd/pki/server.crt", 1, 100),
                    served(served_der),
                ],
                silent: Vec::new(),
            };
            of_machines(&told, now())
        };
        assert!(lines(1).iter().all(|it| it.problem.is_none()));
        let other = lines(2);
        assert_eq!(other[2].place, "served at 192.168.29.61:2379");
        let problem = other[2].problem.as_deref().expect("another one");
        assert!(problem.contains("/etc/etcd/pki/server.crt"), "{problem}");
    }

    #[test]
    fn everybody_is_known_who_uses_one() {
        for (path, _) in MADE_THERE {
            assert_ne!(used_by(path), "not known", "{path}");
        }
        for path in ["/etc/etcd/pki/server.crt", "/etc/haproxy/k8s-ca.crt"] {
            assert_ne!(used_by(path), "not known", "{path}");
        }
        assert_eq!(used_by("/etc/other.crt"), "not known");
    }
}
