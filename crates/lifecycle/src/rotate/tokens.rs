//! What masters and kubelets do while the key changes that service account tokens are signed with.

use std::time::Duration;

use caravan_cluster::control_plane::{self, RenewalScope};
use caravan_cluster::rotation::{self, Reception};
use caravan_cluster::timeline::RUN;
use caravan_cluster::{tokens, until};
use caravan_lab::{Machine, Role};

use super::RotationStage;
use super::machines::RotatedMachines;
use super::retiring::RetiringToken;
use crate::Error;

/// How long a token is valid that is made to see who signs.
const SHORT: Duration = Duration::from_secs(600);

/// How long a kubelet that was started anew may take to have asked for all tokens of its pods, at the usual pace: it looks after
/// each pod every minute and a half.
const ASKED: Duration = Duration::from_secs(240);

/// How long pods go on with the token that they have read: client libraries read it again each minute.
const READ_AGAIN: Duration = Duration::from_secs(75);

impl RotatedMachines<'_> {
    /// Has the control plane of a master verify and sign by what it was brought.
    pub(super) fn have_signer_follow(
        &self,
        stage: RotationStage,
        master: &Machine,
    ) -> Result<(), Error> {
        let now = self.now();
        control_plane::renew(&now.access, master, RenewalScope::Follow)?;
        control_plane::wait_ready(&now.access, master)?;
        self.wait(stage, master)
    }

    /// What is not as a stage wants it with the API server of a master, as its answers show it.
    pub(super) fn signer_differs(
        &self,
        stage: RotationStage,
        master: &Machine,
        key_ids: &[String],
    ) -> Result<Option<String>, Error> {
        let now = self.now();
        let access = &now.access;
        let verifying = tokens::verifying_keys(access, master)?;
        if let Some(missing) = key_ids.iter().find(|id| !verifying.contains(*id)) {
            return Ok(Some(format!("it does not verify by key `{missing}` yet")));
        }
        let signs = key_ids.first().map(String::as_str);
        if stage != RotationStage::TrustBoth {
            let token = tokens::request(access, master, SHORT)?;
            if tokens::key_id(&token).as_deref() != signs {
                return Ok(Some("it does not sign with the new key yet".to_owned()));
            }
            if tokens::show(access, master, &token)? != Reception::LetIn {
                return Ok(Some(
                    "it refuses what it has signed with the new key".to_owned(),
                ));
            }
        }
        if stage == RotationStage::TrustNew {
            let retiring = RetiringToken::read(self.rotation)?;
            if tokens::show(access, master, retiring.text())? != Reception::Refused {
                return Ok(Some("it still trusts the old key".to_owned()));
            }
        }
        Ok(None)
    }

    /// Has everybody who has a token that the old key signed given one of the new key, and waits until it is used.
    pub(super) fn have_tokens_follow(&self, signs: &str) -> Result<(), Error> {
        let lab = self.rotation.lab;
        let now = self.now();
        let access = &now.access;
        self.run.tell_begin(RUN, "has tokens made anew");
        let remade = tokens::remake_in_secrets(lab, access, signs)?;
        if !remade.is_empty() {
            self.run.note(&format!(
                "tokens of Secrets were made anew; whoever has copied one needs the new one: {}",
                remade.join(", ")
            ));
        }
        let masters = lab.of_role(Role::ControlPlane);
        let nodes: Vec<&Machine> = masters.chain(lab.of_role(Role::Worker)).collect();
        let old_of = |node: &Machine| -> Result<Option<String>, Error> {
            let held = tokens::held(access, node)?.into_iter();
            let mut old = held.filter(|token| token.key_id != signs);
            Ok(old.next().map(|token| token.path))
        };
        let mut is_any_old = false;
        for node in &nodes {
            if old_of(node)?.is_some() {
                is_any_old = true;
                // It forgets the tokens that it has asked for, and pods go on.
                control_plane::restart_kubelet(access, node)?;
            }
        }
        if is_any_old && let Some(first) = nodes.first() {
            // Network plugins have one of their own, which their pods write.
            rotation::restart_add_ons(access, first)?;
        }
        for node in &nodes {
            let what = format!("new tokens for the pods on `{}`", node.name);
            until(access.pace().of(ASKED), &what, || match old_of(node) {
                Ok(None) => Ok(true),
                Ok(Some(path)) => Err(format!("`{path}` is of the old key")),
                Err(error) => Err(error.to_string()),
            })?;
        }
        self.run.tell_begin(
            RUN,
            "waits until pods have read their new tokens, as they do each minute",
        );
        Ok(caravan_cluster::pause(READ_AGAIN)?)
    }
}
