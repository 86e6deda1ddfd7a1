//! The virtual address: which machines have it now, as they say themselves.

use std::time::Duration;

use caravan_lab::{Lab, Machine, Role};

use crate::{Access, Error, facts, parallel};

/// How long a machine may take to say what addresses it has.
const ADDRESSES: Duration = Duration::from_secs(30);

/// A machine, and whether it has the address; the error where it does not tell.
pub type Holder<'a> = (&'a Machine, Result<bool, Error>);

/// Asks all load balancers of the lab at once; nobody where it has no virtual address.
pub fn holders<'a>(lab: &'a Lab, access: &Access) -> Vec<Holder<'a>> {
    let Some(vip) = lab.vip() else {
        return Vec::new();
    };
    parallel::each(lab.of_role(Role::LoadBalancer), |machine| {
        (machine, facts::has_address(access, machine, vip, ADDRESSES))
    })
}

/// The one load balancer that has the address now.
///
/// # Errors
///
/// [`Error::NoOwner`] where none has it, or several; where none says so, the error of one that does not tell.
pub fn owner<'a>(lab: &'a Lab, access: &Access) -> Result<&'a Machine, Error> {
    one_of(lab, holders(lab, access))
}

/// One that does not answer is no owner where another one is: it may be off.
fn one_of<'a>(lab: &Lab, holders: Vec<Holder<'a>>) -> Result<&'a Machine, Error> {
    let (mut owners, mut unasked) = (Vec::new(), None);
    for (machine, has_it) in holders {
        match has_it {
            Ok(true) => owners.push(machine),
            Ok(false) => {}
            Err(error) => unasked = Some(error),
        }
    }
    match (owners.as_slice(), unasked) {
        ([owner], _) => Ok(*owner),
        ([], Some(error)) => Err(error),
        (several, _) => Err(Error::NoOwner {
            address: lab.vip().map_or(String::new(), |vip| vip.to_string()),
            owners: several.iter().map(|it| it.name.clone()).collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::tests::lab;

    #[test]
    fn one_has_it() {
        let lab = lab("ha");
        let machine = |name: &str| lab.machine(name).expect("there");
        let silent = || Error::Interrupted;
        let told = |holders: Vec<Holder<'_>>| {
            let owner = one_of(&lab, holders).map(|owner| owner.name.clone());
            owner.map_err(|error| error.to_string())
        };
        let (one, two) = (machine("lbone"), machine("lbtwo"));
        assert_eq!(
            told(vec![(one, Ok(false)), (two, Ok(true))]),
            Ok("lbtwo".to_owned())
        );
        // What is off has nothing.
        assert_eq!(
            told(vec![(one, Ok(true)), (two, Err(silent()))]),
            Ok("lbone".to_owned())
        );
        assert_eq!(
            told(vec![(one, Ok(false)), (two, Ok(false))]),
            Err("no load balancer has 192.168.29.80".to_owned())
        );
        assert_eq!(
            told(vec![(one, Ok(true)), (two, Ok(true))]),
            Err("lbone and lbtwo have 192.168.29.80 at the same time".to_owned())
        );
        assert_eq!(
            told(vec![(one, Ok(false)), (two, Err(silent()))]),
            Err(silent().to_string())
        );
    }
}
