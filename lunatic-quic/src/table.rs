//! Which connections an endpoint keeps, and which of them have something to do.

use std::time::Instant;

use quinn_proto::ConnectionHandle;

use crate::connection::Connection;
use crate::endpoint::Endpoint;
use crate::event::ConnectionId;

impl Endpoint {
    pub(crate) fn get(&self, id: ConnectionId) -> Option<&Connection> {
        let handle = self.ids.get(&id)?;
        self.connections.get(handle.0)?.as_deref()
    }

    pub(crate) fn find(&mut self, id: ConnectionId) -> Option<(ConnectionHandle, &mut Connection)> {
        let handle = *self.ids.get(&id)?;
        Some((handle, self.connections.get_mut(handle.0)?.as_deref_mut()?))
    }

    pub(crate) fn connection(&mut self, handle: ConnectionHandle) -> Option<&mut Connection> {
        self.connections.get_mut(handle.0)?.as_deref_mut()
    }

    /// Whether there are so many connections, those included that wait for late packets, that no
    /// other is kept.
    pub(crate) fn is_full(&self) -> bool {
        self.kept >= self.config.max_connections + self.config.max_handshakes
    }

    /// Keeps a new connection.
    pub(crate) fn insert(
        &mut self,
        handle: ConnectionHandle,
        quinn: quinn_proto::Connection,
        dialled: bool,
        now: Instant,
    ) -> ConnectionId {
        let id = ConnectionId(self.next_id);
        self.next_id += 1;
        let connection = Connection::new(id, quinn, dialled, now, &self.config);
        if self.connections.len() <= handle.0 {
            self.connections.resize_with(handle.0 + 1, || None);
        }
        self.connections[handle.0] = Some(Box::new(connection));
        self.kept += 1;
        self.ids.insert(id, handle);
        self.enqueue(handle);
        id
    }

    /// Has a connection served, if it does not wait for that already.
    pub(crate) fn enqueue(&mut self, handle: ConnectionHandle) {
        if let Some(connection) = self.connection(handle)
            && !std::mem::replace(&mut connection.enqueued, true)
        {
            self.ready.push_back(handle);
        }
    }
}
