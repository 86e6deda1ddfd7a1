//! Whether this computer has a network of the lab's.
//!
//! Before the first machine is made there is none, and a lab address would be dialled by way of the default route: out
//! of this computer, to whoever has the same address there. So nobody dials before this says yes.

use caravan_lab::Lab;
use caravan_vagrant::routes;

use crate::Error;

/// Whether a network of this computer holds the lab's subnet, so that its addresses are dialled there and nowhere else.
pub fn is_near(lab: &Lab) -> bool {
    match routes::routes() {
        Ok(routes) => routes
            .iter()
            .any(|route| route.is_network_with(lab.subnet())),
        // Where the kernel does not tell, nothing can be said against it.
        Err(_) => true,
    }
}

/// Refuses to dial where [`is_near`] says no, unless all machines are reached through other computers.
///
/// # Errors
///
/// [`Error::NotNear`].
pub fn check(lab: &Lab) -> Result<(), Error> {
    let elsewhere = lab.servers().iter().all(|server| server.host.is_some());
    if elsewhere || is_near(lab) {
        return Ok(());
    }
    Err(Error::NotNear {
        lab: lab.name().to_owned(),
        subnet: lab.subnet(),
    })
}
