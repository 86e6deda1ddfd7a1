//! What follows from how far the store is with a rotation: who signs, who is trusted, and how machines are asked.

use caravan_cluster::{Access, Pair};
use caravan_pki::store::Store;
use caravan_pki::{Authority, Certificate, Plan};

use super::{RotatedSigner, Rotation, retiring};
use crate::files::RenderSources;
use crate::{Error, Keys};

/// What follows from how far the store is.
pub(super) struct Now<'a> {
    pub(super) access: Access,
    pub(super) kubeconfig: String,
    pub(super) sources: RenderSources<'a>,
    pub(super) signing: Signing,
}

/// What signs.
pub(super) enum Signing {
    /// An authority.
    Certificates {
        /// The certificate of the one that signs.
        signer: Box<Certificate>,
        /// A client of the new one, or of the only one there is: who lets it in trusts that.
        of_new: Pair,
    },
    /// A key that tokens are signed with.
    Tokens {
        /// The names of those that tokens are verified by, the one that signs first.
        key_ids: Vec<String>,
    },
}

impl<'a> Now<'a> {
    pub(super) fn of(
        rotation: &'a Rotation<'a>,
        plan: &Plan,
        store: &Store,
    ) -> Result<Self, Error> {
        let Rotation {
            workspace,
            target,
            lab,
            software,
            signer,
            ..
        } = *rotation;
        let not_made = || Error::NotMade {
            lab: target.name.clone(),
        };
        let keys = Keys::load(lab, &target.dir).ok_or_else(not_made)?;
        let choices = target.choices.as_ref().ok_or_else(not_made)?;
        let id = signer.credential().entry("");
        let material = store.load(plan)?;
        let signing = match signer {
            RotatedSigner::ServiceAccounts => Signing::Tokens {
                key_ids: (material.public_keys(&id)?.iter())
                    .map(caravan_pki::PublicKey::token_key_id)
                    .collect(),
            },
            _ => {
                let signs = material.authority(&id)?;
                let coming = store.coming_authority(plan, &id)?;
                Signing::Certificates {
                    signer: Box::new(signs.certificate().clone()),
                    of_new: pair(coming.as_ref().unwrap_or(signs), signer)?,
                }
            }
        };
        Ok(Self {
            kubeconfig: keys.kubeconfig(lab)?,
            access: keys.access(lab, &target.dir, target.pace())?,
            sources: RenderSources {
                lab,
                software: software.clone(),
                settings: choices.settings(),
                material: keys.material(lab)?,
                template: workspace.vagrantfile_template()?,
            },
            signing,
        })
    }
}

fn pair(authority: &Authority, rotated: RotatedSigner) -> Result<Pair, Error> {
    let identity = retiring::issue(authority, rotated)?;
    Ok(Pair {
        certificate: identity.chain_pem(),
        key: identity.key_pem().to_string(),
    })
}
