//! The TLS listeners and streams that a process holds ids of.

use lunatic_abi::{Misuse, Resource, Table};
use lunatic_account::{Account, Exceeded};

use crate::guest::sockets::{KERNEL_BYTES, Socket, Tables};
use crate::listeners::WAITING_BYTES;
use crate::{TlsListener, TlsStream};

/// The TLS listeners and streams that a process holds ids of.
#[derive(Debug, Default)]
pub(super) struct TlsSockets {
    listeners: Table<TlsListener>,
    streams: Table<TlsStream>,
}

impl TlsSockets {
    /// Those of an attempt, which has none yet.
    pub(super) fn successor(&self, account: &Account) -> Result<TlsSockets, Misuse> {
        Ok(TlsSockets {
            listeners: self.listeners.successor(account)?,
            streams: self.streams.successor(account)?,
        })
    }

    /// Adds those of the old code.
    pub(super) fn join(&mut self, old: TlsSockets) {
        self.listeners.join(old.listeners);
        self.streams.join(old.streams);
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.listeners.len() + self.streams.len()
    }
}

impl Resource for TlsListener {
    const KIND: &'static str = "TLS listener";
    const IS_DESCRIPTOR: bool = true;
    const LIMIT: usize = usize::MAX;

    fn size(&self) -> usize {
        KERNEL_BYTES + WAITING_BYTES + self.identity_size()
    }
}

impl Socket for TlsListener {
    fn table(tables: &mut Tables) -> &mut Table<TlsListener> {
        &mut tables.tls.listeners
    }
}

impl Resource for TlsStream {
    const KIND: &'static str = "TLS stream";
    const IS_DESCRIPTOR: bool = true;
    const LIMIT: usize = usize::MAX;

    fn size(&self) -> usize {
        KERNEL_BYTES
    }
}

impl Socket for TlsStream {
    fn table(tables: &mut Tables) -> &mut Table<TlsStream> {
        &mut tables.tls.streams
    }

    fn charge_to(&self, payer: &Account) -> Result<(), Exceeded> {
        TlsStream::charge_to(self, payer)
    }
}
