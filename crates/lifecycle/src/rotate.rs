//! Rotating what signs, a certificate authority or the key of service account tokens: another key takes its place, while the
//! lab goes on.
//!
//! 1. [`Rotation::survey`] asks where it stands, and says what is to be done: a [`RotationPlan`].
//! 2. [`Rotation::run`] does it.
//!
//! Everybody trusts both first, then gets what the new one has signed, and trusts the new one alone in the end. No stage is
//! begun before all machines have done the one before it, and each shows that it has over a connection made for that: what a
//! server has on its disk is not what it goes by.
//!
//! Where it stands is asked of certificates: the store says which keys there are and which one signs, a client of the one that
//! is to go (or a token), made when it begins, says which of them that is, and machines say whom they let in. So each step
//! may be done again; what is kept is what was meant, in [`OperationRecord`]. After each step
//! [`LabRun::reached`](crate::LabRun::reached) is told its word.

mod drive;
mod etcd;
mod kubernetes;
mod machines;
mod now;
mod retiring;
mod tokens;

use std::fmt;

use caravan_lab::{Lab, Role};
use caravan_pki::kubernetes::Credential;
use caravan_pki::store::{self, Store};
use caravan_render::{Software, pki_plan};

use crate::{Error, LabTarget, OperationRecord, Workspace};

/// This verb.
pub const VERB: &str = "certs rotate";

/// What signs, and can be rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotatedSigner {
    /// What etcd's members and their clients are known by.
    EtcdCa,
    /// What API servers and all their clients are known by.
    KubernetesCa,
    /// What API servers are known by to each other and to those that they pass requests on to.
    FrontProxyCa,
    /// The key that service account tokens are signed with.
    ServiceAccounts,
}

impl RotatedSigner {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::EtcdCa,
        Self::KubernetesCa,
        Self::FrontProxyCa,
        Self::ServiceAccounts,
    ];

    /// Its name on command lines: `etcd-ca`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EtcdCa => "etcd-ca",
            Self::KubernetesCa => "kubernetes-ca",
            Self::FrontProxyCa => "front-proxy-ca",
            Self::ServiceAccounts => "sa",
        }
    }

    /// The one of this name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// As `pki` knows it.
    const fn credential(self) -> Credential {
        match self {
            Self::EtcdCa => Credential::EtcdCa,
            Self::KubernetesCa => Credential::Ca,
            Self::FrontProxyCa => Credential::FrontProxyCa,
            Self::ServiceAccounts => Credential::ServiceAccount,
        }
    }

    /// Which machines have servers that go by it, and are counted; others only follow.
    const fn servers(self) -> Role {
        match self {
            Self::EtcdCa => Role::Etcd,
            Self::KubernetesCa | Self::FrontProxyCa | Self::ServiceAccounts => Role::ControlPlane,
        }
    }

    /// Which machines follow, in this order.
    const fn followers(self) -> &'static [Role] {
        match self {
            Self::EtcdCa => &[Role::ControlPlane],
            // Load balancers judge API servers by it.
            Self::KubernetesCa => &[Role::LoadBalancer, Role::Worker],
            Self::FrontProxyCa | Self::ServiceAccounts => &[],
        }
    }
}

/// Its name.
impl fmt::Display for RotatedSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A stage of a rotation, which all machines go through before the next one begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RotationStage {
    /// Everybody trusts the old one and the new one.
    TrustBoth,
    /// Everybody has what the new one has signed.
    Reissue,
    /// Everybody trusts the new one alone.
    TrustNew,
}

impl RotationStage {
    /// All of them, in their order.
    pub const ALL: [Self; 3] = [Self::TrustBoth, Self::Reissue, Self::TrustNew];

    /// Its word: `trust-both`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::TrustBoth => "trust-both",
            Self::Reissue => "reissue",
            Self::TrustNew => "trust-new",
        }
    }
}

/// Its word.
impl fmt::Display for RotationStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// How far the store is; machines follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StoreStanding {
    /// There is the old one alone.
    Old,
    /// The new one is there too, to be trusted.
    Both,
    /// The new one signs; the old one is still trusted.
    Switched,
    /// There is the new one alone.
    New,
}

/// What is to be done.
#[derive(Debug)]
pub struct RotationPlan {
    /// What was meant before, where this goes on with it.
    pub begun: Option<OperationRecord>,
    /// How far the store is.
    pub store: StoreStanding,
    /// What is left to do, in order; what machines have done of the first one is found out when it is done.
    pub stages: Vec<RotationStage>,
}

/// Rotating what signs.
#[derive(Clone, Copy)]
pub struct Rotation<'a> {
    /// Where the lab's file and state are.
    pub workspace: &'a Workspace,
    /// The lab, and what is there of it.
    pub target: &'a LabTarget,
    /// The lab.
    pub lab: &'a Lab,
    /// What its machines' files say of versions.
    pub software: &'a Software,
    /// What is rotated.
    pub signer: RotatedSigner,
    /// How the program that calls this is started, such as `cargo xtask`: errors may say what to do.
    pub tool: &'a str,
    /// Is told when the operator's kubeconfig is another one, so that what was made from it follows.
    pub followed: &'a dyn Fn(),
}

impl Rotation<'_> {
    /// Asks where it stands; changes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::OperationOpen`] where another operation, or the rotation of another signer, is under way;
    /// [`RetiringLost`](crate::CertificatesError::RetiringLost), [`Error::Pki`].
    pub fn survey(&self) -> Result<RotationPlan, Error> {
        let begun = OperationRecord::read(&self.target.dir)?;
        let is_other = |it: &&OperationRecord| it.verb != VERB || it.machine != self.signer.name();
        if let Some(other) = begun.as_ref().filter(is_other) {
            return Err(Error::open(&self.target.name, other));
        }
        let store = match &begun {
            Some(_) => self.standing()?,
            None => StoreStanding::Old,
        };
        Ok(RotationPlan {
            begun,
            store,
            stages: stages(store),
        })
    }

    /// The plan's steps, for people, a line each without its number.
    pub fn lines(&self, plan: &RotationPlan) -> Vec<String> {
        let name = self.signer;
        let is_token = name == RotatedSigner::ServiceAccounts;
        let one = if is_token { "token" } else { "client" };
        let names = |role: &Role| {
            let names: Vec<&str> = (self.lab.of_role(*role))
                .map(|it| it.name.as_str())
                .collect();
            names.join(", ")
        };
        let servers = names(&name.servers());
        let followers = name.followers().iter().map(names);
        let followers: Vec<String> = followers.filter(|names| !names.is_empty()).collect();
        let then = match followers.is_empty() {
            true => String::new(),
            false => format!(", then {}", followers.join(", ")),
        };
        let mut lines =
            vec!["hold that all machines run, and that API servers and etcd are well".to_owned()];
        if plan.begun.is_none() {
            lines[0] += &format!(
                "; take a snapshot; make a {one} of the old {name}, which is to be refused in the end"
            );
        }
        for stage in &plan.stages {
            let (store, machines) = match stage {
                RotationStage::TrustBoth => (
                    format!("make the new {name}; the old one signs"),
                    format!(
                        "trust both: what reads that once is started anew, and servers {}",
                        match is_token {
                            true => "publish that they verify by both",
                            false => "let in a client of the new one",
                        }
                    ),
                ),
                RotationStage::Reissue => (
                    match is_token {
                        true => format!("have the new {name} sign"),
                        false => format!(
                            "have the new {name} sign, and make anew what the old one signed"
                        ),
                    },
                    match is_token {
                        true => {
                            "sign with the new one, which a token that they are asked for shows"
                        }
                        false => "get what is signed anew, and servers show it to a new connection",
                    }
                    .to_owned(),
                ),
                RotationStage::TrustNew => (
                    format!("forget the old {name} in the store"),
                    format!(
                        "trust the new one alone: what reads that once is started anew, and servers refuse the {one} of the old one"
                    ),
                ),
            };
            lines.push(store);
            lines.push(format!("one after the other, {servers}{then} {machines}"));
            lines.extend(self.conclusion(*stage).map(str::to_owned));
        }
        lines.push(format!(
            "hold once more that {servers} go by the new {name}, and refuse the old one's {one}"
        ));
        lines
    }

    /// What is left of a stage once all machines have done their part, for people.
    fn conclusion(&self, stage: RotationStage) -> Option<&'static str> {
        match (self.signer, stage) {
            (RotatedSigner::KubernetesCa, RotationStage::TrustBoth) => {
                Some("tell pods to trust both, and start those of the cluster's own add-ons anew")
            }
            (RotatedSigner::ServiceAccounts, RotationStage::Reissue) => Some(
                "have tokens made anew: those of Secrets, and by each kubelet, which is started anew, those of its pods; start the cluster's own add-ons anew, and wait until pods have read theirs, as they do each minute",
            ),
            _ => None,
        }
    }

    /// How far the store is with a rotation that is under way.
    fn standing(&self) -> Result<StoreStanding, Error> {
        let plan = pki_plan(self.lab)?;
        let store = Store::open(self.target.dir.pki())?;
        let id = self.signer.credential().entry("");
        let is_old = retiring::reader(self)?;
        Ok(match store.rotation(&plan, &id)? {
            store::Rotation::Started => StoreStanding::Both,
            store::Rotation::Switched => StoreStanding::Switched,
            _ => match is_old(&store.load(&plan)?)? {
                true => StoreStanding::Old,
                false => StoreStanding::New,
            },
        })
    }
}

/// What is left to do where the store is as far as that: what it is beyond, all machines have done.
fn stages(store: StoreStanding) -> Vec<RotationStage> {
    let is_left = |stage: &RotationStage| match stage {
        RotationStage::TrustBoth => store <= StoreStanding::Both,
        RotationStage::Reissue => store <= StoreStanding::Switched,
        RotationStage::TrustNew => true,
    };
    RotationStage::ALL.into_iter().filter(is_left).collect()
}

#[cfg(test)]
mod tests;
