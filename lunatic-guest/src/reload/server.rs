//! Servers: processes that answer messages, and can move before each.

use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::encoding;
use super::point::point;
use super::state::State;
use crate::process::{self, Message, ProcessId};
use crate::sys;

/// A process that answers messages, as OTP's `gen_server`. [`start`] runs it.
pub trait Server: State {
    /// What it begins with.
    type Init;

    /// What others send it, by [`send`] or [`call`].
    type Message: Serialize + DeserializeOwned;

    /// Makes the state with which the server begins. It is not called when new code takes
    /// over.
    fn init(init: Self::Init) -> Self;

    /// Answers a message. The server ends, normally, if this breaks.
    fn handle(&mut self, message: Self::Message) -> ControlFlow<()>;

    /// Sees to what is no message of its type: bytes of which none can be made, and deaths
    /// of which the process is told. Unless a server says otherwise, it ends when its
    /// supervisor asks for that, and writes a line to standard error about all else.
    fn handle_info(&mut self, info: Message) -> ControlFlow<()> {
        const SUPERVISOR: i64 = 0;
        match info {
            Message::LinkDied { tag: SUPERVISOR } => ControlFlow::Break(()),
            other => {
                eprintln!("the server `{}` does not expect {other:?}", Self::KIND);
                ControlFlow::Continue(())
            }
        }
    }
}

/// To whom a server answers a [`call`]. It is a part of the message.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct ReplyTo<T> {
    process: ProcessId,
    tag: i64,
    #[serde(skip)]
    reply: PhantomData<fn(T)>,
}

/// Runs a server from its beginning to its end.
///
/// # Panics
///
/// As [`point`].
pub fn start<S: Server>(init: S::Init) {
    serve(S::init(init));
}

/// Lets a server go on to its end. What its entries call.
///
/// # Panics
///
/// As [`point`].
pub fn serve<S: Server>(mut server: S) {
    loop {
        point(&mut server);
        let flow = match process::receive_timeout(&[], None) {
            None => continue,
            Some(Message::Data { tag, bytes }) => match encoding::read(&bytes) {
                Ok(message) => server.handle(message),
                Err(_) => server.handle_info(Message::Data { tag, bytes }),
            },
            Some(info) => server.handle_info(info),
        };
        if flow.is_break() {
            return;
        }
    }
}

/// Sends a message to a server; nothing happens if there is no such process.
///
/// # Panics
///
/// If the message cannot be written.
pub fn send<M: Serialize>(server: ProcessId, message: &M) {
    send_with_tag(server, 0, message);
}

/// Sends a message to a server and waits for the reply; `None` if there is none within
/// this time. The wait does not end early if the process is to move: it moves at its next safe
/// point, after the call.
///
/// - `timeout`: no limit if there is none.
/// - `message`: makes the message with that to which the server replies.
///
/// ```no_run
/// # use lunatic_guest::process::ProcessId;
/// # use lunatic_guest::reload::{self, ReplyTo};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)]
/// # enum Message { Get(ReplyTo<u64>) }
/// # let counter = ProcessId(1);
/// let count: Option<u64> = reload::call(counter, None, Message::Get);
/// ```
///
/// # Panics
///
/// If the message cannot be written, and if the reply is of another type.
pub fn call<M: Serialize, T: DeserializeOwned>(
    server: ProcessId,
    timeout: Option<Duration>,
    message: impl FnOnce(ReplyTo<T>) -> M,
) -> Option<T> {
    let tag = process::unique_tag();
    let reply_to = ReplyTo {
        process: process::this(),
        tag,
        reply: PhantomData,
    };
    send(server, &message(reply_to));
    match reply(tag, timeout)? {
        Message::Data { bytes, .. } => match encoding::read(&bytes) {
            Ok(reply) => Some(reply),
            Err(why) => panic!("the reply of process {server} cannot be read: {why}"),
        },
        _ => None,
    }
}

/// Waits for a message with this tag. If the wait is armed, it may end early, and another one
/// does not then.
fn reply(tag: i64, timeout: Option<Duration>) -> Option<Message> {
    let began = Instant::now();
    loop {
        let left = timeout.map(|timeout| timeout.saturating_sub(began.elapsed()));
        let reply = process::receive_timeout(&[tag], left);
        if reply.is_some() || left.is_some_and(|left| left.is_zero()) {
            return reply;
        }
    }
}

impl<T> ReplyTo<T> {
    /// Who has asked.
    pub fn process(&self) -> ProcessId {
        self.process
    }

    /// Replies.
    ///
    /// # Panics
    ///
    /// If the reply cannot be written.
    pub fn send(self, reply: &T)
    where
        T: Serialize,
    {
        send_with_tag(self.process, self.tag, reply);
    }
}

fn send_with_tag<M: Serialize>(to: ProcessId, tag: i64, message: &M) {
    let mut bytes = Vec::new();
    sys::message_create(tag);
    match encoding::write(message, &mut bytes) {
        Ok(()) => {
            sys::message_write(&bytes);
            sys::message_send(to.0);
        }
        Err(why) => panic!("a message cannot be written: {why}"),
    }
}
