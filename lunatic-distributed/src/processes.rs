//! The processes of an environment, for other nodes.

use lunatic_account::Account;
use lunatic_mailbox::{
    DataMessage, EncodedResource, Message, MessageResource, Pid, SendError, WireMessage,
};
use lunatic_process::{Effect, Environment, ExitReason, Signal};

use crate::local::{Incoming, NotDelivered};

/// A message of so many bytes may take twice as many, if it needs no allocation by that.
const SHORT_BYTES: usize = 256;

/// Gives a message of another node to a process of an environment, for
/// [`LocalNode::deliver`](crate::LocalNode::deliver). A message with a resource that cannot be
/// decoded is dropped, and that is logged.
///
/// - `payer`: to whom it is charged until it is received: the account of the node it comes from.
/// - `decode`: makes a resource from its encoded form.
///
/// # Errors
///
/// [`NotDelivered`].
pub fn deliver<E: std::fmt::Display>(
    environment: &Environment,
    payer: Option<&Account>,
    message: Incoming<'_>,
    decode: impl FnMut(EncodedResource) -> Result<Box<dyn MessageResource>, E>,
) -> Result<(), NotDelivered> {
    let Incoming {
        from,
        to,
        tag,
        bytes,
        resources,
    } = message;
    let data = match resources.is_empty() {
        // No longer than it is: what is more is charged too.
        true if bytes.len() > SHORT_BYTES => DataMessage::new(tag, bytes),
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
                    if environment.admits_log_line(payer.unwrap_or(environment.account())) {
                        tracing::warn!(%from, %to, "dropped a message of another node: {error}");
                    }
                    return Ok(());
                }
            }
        }
    };
    match environment.deliver(from, payer, to, Message::Data(data)) {
        Err(SendError::Full) => Err(NotDelivered::MailboxFull),
        Err(SendError::Refused(_)) => Err(NotDelivered::Refused),
        _ => Ok(()),
    }
}

/// Applies a signal of a process of another node, but for what follows from it, for
/// [`LocalNode::signal`](crate::LocalNode::signal).
///
/// # Errors
///
/// [`ExitReason::NoProcess`].
pub fn signal(environment: &Environment, to: Pid, signal: Signal) -> Result<Effect, ExitReason> {
    environment.apply(to, signal)
}
