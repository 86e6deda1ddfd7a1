//! A subnet for a new lab: one that neither this computer nor a lab here uses.

use std::net::Ipv4Addr;

use caravan_lab::Ipv4Net;
use caravan_vagrant::routes::{self, Route};

/// The subnets that are looked at, in order: 192.168.30.0/24 and those after it, where home networks seldom are.
const THIRD_NUMBERS: std::ops::RangeInclusive<u8> = 30..=249;

/// Who uses a subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubnetUser {
    /// A lab, of which a file or the state tells.
    Lab(String),
    /// A network that this computer reaches.
    Route(Route),
}

/// Who uses what on this computer.
#[derive(Debug, Clone, Default)]
pub struct UsedSubnets {
    users: Vec<(Ipv4Net, SubnetUser)>,
}

impl UsedSubnets {
    /// Those of `labs`, and those that this computer reaches.
    ///
    /// # Errors
    ///
    /// [`caravan_vagrant::Error::Routes`].
    pub fn now(
        labs: impl IntoIterator<Item = (String, Ipv4Net)>,
    ) -> Result<Self, caravan_vagrant::Error> {
        Ok(Self::of(labs, routes::routes()?))
    }

    fn of(labs: impl IntoIterator<Item = (String, Ipv4Net)>, routes: Vec<Route>) -> Self {
        let labs = labs
            .into_iter()
            .map(|(lab, subnet)| (subnet, SubnetUser::Lab(lab)));
        // A default route leads everywhere and uses nothing.
        let routes = routes.into_iter().filter(|route| !route.is_default());
        let routes = routes.map(|route| (route.to, SubnetUser::Route(route)));
        Self {
            users: labs.chain(routes).collect(),
        }
    }

    /// Who uses a part of `subnet`, if anybody does.
    pub fn user_of(&self, subnet: Ipv4Net) -> Option<&SubnetUser> {
        let mut users = self.users.iter();
        let (_, user) = users.find(|(used, _)| routes::overlap(*used, subnet))?;
        Some(user)
    }

    /// The first subnet that nobody uses.
    pub fn free(&self) -> Option<Ipv4Net> {
        let mut subnets =
            THIRD_NUMBERS.map(|number| Ipv4Net::new_assert(Ipv4Addr::new(192, 168, number, 0), 24));
        subnets.find(|subnet| self.user_of(*subnet).is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(to: &str) -> Route {
        Route {
            to: to.parse().expect("a range"),
            device: Some("eth0".to_owned()),
            table: 254,
            direct: true,
        }
    }

    #[test]
    fn a_subnet_is_free_if_nobody_uses_any_of_it() {
        let subnet = |text: &str| -> Ipv4Net { text.parse().expect("a range") };
        let labs = [("one".to_owned(), subnet("192.168.30.0/25"))];
        let used = UsedSubnets::of(
            labs.clone(),
            vec![route("0.0.0.0/0"), route("192.168.31.7/32")],
        );
        assert_eq!(used.free(), Some(subnet("192.168.32.0/24")));
        let lab = SubnetUser::Lab("one".to_owned());
        assert_eq!(used.user_of(subnet("192.168.30.0/24")), Some(&lab));
        assert_eq!(used.user_of(subnet("192.168.29.0/24")), None);
        let all = UsedSubnets::of(labs, vec![route("192.168.0.0/16")]);
        assert_eq!(all.free(), None);
    }
}
