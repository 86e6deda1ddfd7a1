//! A connection that gives up when nothing comes for too long.
//!
//! ureq limits whole phases: a limit on a body is either too short for a large file on a slow line or too long for a
//! dead one. This sits on top of its connector and limits each wait for bytes.

use std::time::Duration;

use ureq::unversioned::transport::time::Duration as Wait;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

/// Limits each wait for bytes of the connections below it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StallConnector {
    pub(crate) limit: Duration,
}

impl<In: Transport> Connector<In> for StallConnector {
    type Out = Impatient<In>;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        below: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        Ok(below.map(|below| Impatient {
            below,
            limit: self.limit,
        }))
    }
}

#[derive(Debug)]
pub(crate) struct Impatient<T> {
    below: T,
    limit: Duration,
}

impl<T: Transport> Transport for Impatient<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.below.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.below.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, mut timeout: NextTimeout) -> Result<bool, ureq::Error> {
        timeout.after = timeout.after.min(Wait::Exact(self.limit));
        self.below.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.below.is_open()
    }

    fn is_tls(&self) -> bool {
        self.below.is_tls()
    }
}
