//! Rescuing a lab whose certificates have ended, as one that was halted for longer than they live: etcd's members refuse each
//! other, API servers refuse everybody, and kubelets do not even start.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use caravan_cluster::certificates::{self, SeenAt, SeenCertificate};
use caravan_cluster::control_plane::{self, RenewalScope};
use caravan_cluster::etcd::{self, Member};
use caravan_cluster::timeline::RUN;
use caravan_cluster::{Access, Error as ClusterError, parallel, ready, until};
use caravan_lab::{Machine, Role};
use caravan_process::interrupt;

use super::{Renewal, RenewalKind, RenewalOutcome, hold_served, metrics};
use crate::files::RenderSources;
use crate::{CertificatesError, Error, Keys, LabRun};

/// How long etcd's members may take to agree again, at the usual pace.
const WELL: Duration = Duration::from_secs(60);

/// How long nodes and pods may take to be ready again.
const READY: Duration = Duration::from_secs(180);

impl Renewal<'_> {
    /// Holds that what has ended is not renewed by asking those who refuse, and what has not ended by asking nobody.
    pub(super) fn hold_fits(&self, machines: &[&Machine]) -> Result<(), Error> {
        let lab = || self.target.name.clone();
        let keys = Keys::load(self.lab, &self.target.dir);
        let keys = keys.ok_or_else(|| Error::NotMade { lab: lab() })?;
        let access = keys.access(self.lab, &self.target.dir, self.target.pace())?;
        let told = certificates::ask(&access, machines)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |since| since.as_secs().cast_signed());
        let ended = ended(&told.seen, now);
        match (self.kind, ended.is_empty()) {
            (RenewalKind::Expired, true) => {
                Err(Error::from(CertificatesError::NoneHasEnded { lab: lab() }))
            }
            (RenewalKind::Due | RenewalKind::All, false) => {
                Err(Error::from(CertificatesError::HaveEnded {
                    lab: lab(),
                    which: ended,
                }))
            }
            _ => Ok(()),
        }
    }

    /// Brings all that is of the store to all machines at once, then wakes etcd, kubelets and control planes, in this order.
    pub(super) fn rescue(
        &self,
        run: &LabRun<'_>,
        access: &Access,
        sources: &RenderSources<'_>,
        machines: &[&Machine],
        outcome: &mut RenewalOutcome,
    ) -> Result<(), Error> {
        let of = |role: Role| -> Vec<&Machine> {
            let all = machines.iter().copied();
            all.filter(|machine| machine.role == role).collect()
        };
        let masters = of(Role::ControlPlane);
        let step = |word: &'static str, work: &mut dyn FnMut() -> Result<(), Error>| {
            if interrupt::raised() {
                return Err(Error::Interrupted);
            }
            run.step(word, work)?;
            run.reached(word);
            Ok(())
        };
        step("brought", &mut || {
            run.tell_begin(RUN, "brings certificates to all machines");
            let brought = parallel::each(machines.iter().copied(), |machine| {
                self.bring(access, sources, machine)
            });
            for files in brought {
                outcome.files.extend(files?);
            }
            Ok(())
        })?;
        step("etcd-agrees", &mut || {
            run.tell_begin(RUN, "waits for etcd's members");
            self.wait_for_etcd(access)?;
            let served = parallel::each(of(Role::Etcd), |member| hold_served(access, member));
            served.into_iter().collect()
        })?;
        step("kubelets-started", &mut || {
            run.tell_begin(RUN, "gives kubelets certificates that have not ended");
            let nodes = machines.iter().copied();
            let nodes = nodes.filter(|machine| machine.role.is_node());
            let ended = parallel::each(nodes, |node| control_plane::rescue_kubelet(access, node));
            let ended: Result<Vec<()>, ClusterError> = ended.into_iter().collect();
            Ok(ended.map(drop)?)
        })?;
        step("api-started", &mut || {
            run.tell_begin(
                RUN,
                "renews what kubeadm has made, and starts control planes",
            );
            let renewed = parallel::each(masters.iter().copied(), |master| {
                control_plane::renew(access, master, RenewalScope::Rescue)
            });
            let renewed: Result<Vec<bool>, ClusterError> = renewed.into_iter().collect();
            renewed?;
            outcome.masters = masters.iter().map(|it| it.name.clone()).collect();
            let served = parallel::each(masters.iter().copied(), |it| hold_served(access, it));
            served.into_iter().collect::<Result<(), Error>>()?;
            outcome.note_metrics(metrics::follow(self.lab, access, &sources.material)?);
            Ok(())
        })?;
        step("ready", &mut || {
            ready::wait(self.lab, access, self.tool, READY, &mut |readiness| {
                if let Some(first) = readiness.missing.first() {
                    run.tell_detail(RUN, &first.to_string());
                }
            })?;
            Ok(())
        })
    }

    fn wait_for_etcd(&self, access: &Access) -> Result<(), Error> {
        let members: Vec<Member> = etcd::members(self.lab, access)?;
        until(access.pace().of(WELL), "all etcd members", || {
            let said = parallel::each(&members, |member| {
                let said = member.health().map_err(|error| error.chain());
                said.map_err(|why| format!("`{}`: {why}", member.name))
            });
            said.into_iter().find_map(Result::err).map_or(Ok(true), Err)
        })?;
        Ok(())
    }
}

/// The certificates that have ended, as `machine: place`, in seconds since 1970; the authorities are none of a renewal's.
fn ended(seen: &[SeenCertificate], now: i64) -> Vec<String> {
    let over = seen.iter().filter(|it| it.certificate.not_after < now);
    over.filter_map(|it| match &it.at {
        SeenAt::File { path, .. } if path.ends_with("ca.crt") => None,
        SeenAt::File { machine, path } => Some(format!("{machine}: {path}")),
        SeenAt::Served { machine, at, .. } => Some(format!("{machine}: served at {at}")),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{file, seen, served};
    use super::*;

    #[test]
    fn what_has_ended_is_told_by_its_place() {
        let all = [
            seen(file("/etc/kubernetes/pki/apiserver.crt"), 1, 100),
            seen(file("/etc/kubernetes/pki/ca.crt"), 2, 100),
            seen(served(), 1, 100),
            seen(file("/etc/kubernetes/admin.conf"), 3, 101),
        ];
        assert_eq!(ended(&all, 100), [""; 0]);
        assert_eq!(
            ended(&all, 101),
            [
                "masterone: /etc/kubernetes/pki/apiserver.crt",
                "masterone: served at 192.168.29.51:6443"
            ]
        );
    }
}
