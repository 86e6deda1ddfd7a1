//! The way to the lab's addresses, as the HTTP client takes it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};

use super::{NetworkWay, WayConnection};

/// How long a connection may take where the client says nothing.
const LIMIT: Duration = Duration::from_secs(30);

/// Opens connections by a way.
#[derive(Debug)]
pub(crate) struct WayConnector(pub(crate) NetworkWay);

impl Connector<()> for WayConnector {
    type Out = WayTransport;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<WayTransport>, Error> {
        let limit = details.timeout.not_zero().map_or(LIMIT, |limit| *limit);
        let addresses = details.addrs.iter();
        let address = addresses.into_iter().find_map(|address| match address {
            SocketAddr::V4(address) => Some(*address),
            SocketAddr::V6(_) => None,
        });
        let address = address.ok_or(Error::HostNotFound)?;
        let connection = match self.0.connect(address, limit) {
            Ok(connection) => connection,
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                return Err(Error::Timeout(details.timeout.reason));
            }
            Err(error) => return Err(error.into()),
        };
        let config = details.config;
        Ok(Some(WayTransport {
            connection,
            buffers: LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size()),
        }))
    }
}

/// A connection with the client's buffers.
#[derive(Debug)]
pub(crate) struct WayTransport {
    connection: WayConnection,
    buffers: LazyBuffers,
}

impl Transport for WayTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let limit = timeout.not_zero().map(|limit| *limit);
        self.connection.limit_writes(limit)?;
        let output = &self.buffers.output()[..amount];
        in_time(self.connection.write_all(output), timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let limit = timeout.not_zero().map(|limit| *limit);
        self.connection.limit_reads(limit)?;
        let input = self.buffers.input_append_buf();
        let amount = in_time(self.connection.read(input), timeout)?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    /// One that was used is not used again: a server behind a tunnel ends it unseen.
    fn is_open(&mut self) -> bool {
        matches!(self.connection, WayConnection::Straight(_))
    }
}

fn in_time<T>(result: io::Result<T>, timeout: NextTimeout) -> Result<T, Error> {
    result.map_err(|error| match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => Error::Timeout(timeout.reason),
        _ => error.into(),
    })
}
