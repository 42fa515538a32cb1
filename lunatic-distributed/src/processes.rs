//! The processes of an environment, for other nodes.

use lunatic_mailbox::{
    DataMessage, EncodedResource, Message, MessageResource, Pid, SendError, WireMessage,
};
use lunatic_process::{Environment, ExitReason, Signal};

use crate::local::{Incoming, MailboxFull};

/// Gives a message of another node to a process of an environment, for
/// [`LocalNode::deliver`](crate::LocalNode::deliver). A message with a resource that cannot be
/// decoded is dropped, and that is logged.
///
/// - `decode`: makes a resource from its encoded form.
///
/// # Errors
///
/// [`MailboxFull`].
pub fn deliver<E: std::fmt::Display>(
    environment: &Environment,
    message: Incoming<'_>,
    decode: impl FnMut(EncodedResource) -> Result<Box<dyn MessageResource>, E>,
) -> Result<(), MailboxFull> {
    let Incoming {
        from,
        to,
        tag,
        bytes,
        resources,
    } = message;
    let data = match resources.is_empty() {
        true => {
            let mut data = DataMessage::new(tag, Vec::new());
            data.write(bytes);
            data
        }
        false => {
            let wire = WireMessage {
                tag,
                bytes: bytes.to_vec(),
                resources,
            };
            match wire.into_message(decode) {
                Ok(data) => data,
                Err(error) => {
                    tracing::warn!(%from, %to, "dropped a message of another node: {error}");
                    return Ok(());
                }
            }
        }
    };
    match environment.send(None, to, Message::Data(data)) {
        Err(SendError::Full(_)) => Err(MailboxFull),
        _ => Ok(()),
    }
}

/// Applies a signal of a process of another node, for
/// [`LocalNode::signal`](crate::LocalNode::signal).
///
/// # Errors
///
/// [`ExitReason::NoProcess`].
pub fn signal(
    environment: &Environment,
    from: Pid,
    to: Pid,
    signal: Signal,
) -> Result<(), ExitReason> {
    match environment.is_local(to) {
        true => environment.signal(from, to, signal),
        // It would go out again.
        false => Err(ExitReason::NoProcess),
    }
}
