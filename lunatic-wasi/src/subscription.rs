//! The subscriptions and events of `poll_oneoff`.

use crate::clock::Clock;
use crate::descriptors::{Descriptors, Kind};
use crate::errno::Errno;
use crate::input::Input;
use crate::rights::Rights;

/// Something that a guest waits for.
#[derive(Debug)]
pub(crate) struct Subscription {
    userdata: [u8; 8],
    awaited: Awaited,
}

#[derive(Debug)]
enum Awaited {
    /// A time of a clock in nanoseconds.
    Time {
        clock: Clock,
        time: u64,
    },
    Input(Input),
    /// A descriptor that can always be read, or always be written. How many bytes it
    /// takes or gives is not known.
    Ready(EventType),
}

/// What a guest is told when something that it waited for has happened.
#[derive(Debug)]
pub(crate) struct PollEvent {
    userdata: [u8; 8],
    error: Option<Errno>,
    event: EventType,
    bytes: u64,
    hangup: bool,
}

#[derive(Debug, Clone, Copy)]
#[repr(u8)]
enum EventType {
    Clock = 0,
    FdRead = 1,
    FdWrite = 2,
}

impl Subscription {
    /// Size of a record in the guest's memory.
    pub(crate) const BYTES: usize = 48;

    /// Reads a record: user data at 0, the type at 8, and from 16 on what
    /// belongs to the type.
    pub(crate) fn parse(
        record: &[u8; Subscription::BYTES],
        descriptors: &Descriptors,
    ) -> Result<Subscription, Errno> {
        let awaited = match record[8] {
            0 => parse_time(record)?,
            1 => to_read(u32::from_le_bytes(field(record, 16)), descriptors)?,
            2 => to_write(u32::from_le_bytes(field(record, 16)), descriptors)?,
            _ => return Err(Errno::Invalid),
        };
        let userdata = field(record, 0);
        Ok(Subscription { userdata, awaited })
    }

    /// Returns the event, if it has happened.
    pub(crate) fn happened(&self) -> Option<PollEvent> {
        match &self.awaited {
            Awaited::Time { clock, time } => {
                (clock.now() >= *time).then(|| self.event(EventType::Clock, 0))
            }
            Awaited::Ready(event) => Some(self.event(*event, 1)),
            Awaited::Input(input) => Some(match input.available()? {
                Ok(bytes) => PollEvent {
                    hangup: bytes == 0,
                    ..self.event(EventType::FdRead, bytes as u64)
                },
                Err(error) => PollEvent {
                    error: Some(error.into()),
                    ..self.event(EventType::FdRead, 0)
                },
            }),
        }
    }

    /// Returns the nanoseconds that are left, if this waits for a time.
    pub(crate) fn remaining(&self) -> Option<u64> {
        match &self.awaited {
            Awaited::Time { clock, time } => Some(time.saturating_sub(clock.now())),
            _ => None,
        }
    }

    /// Returns the input, if this waits for one.
    pub(crate) fn input(&self) -> Option<&Input> {
        match &self.awaited {
            Awaited::Input(input) => Some(input),
            _ => None,
        }
    }

    fn event(&self, event: EventType, bytes: u64) -> PollEvent {
        PollEvent {
            userdata: self.userdata,
            error: None,
            event,
            bytes,
            hangup: false,
        }
    }
}

impl PollEvent {
    /// Size of a record in the guest's memory.
    pub(crate) const BYTES: usize = 32;

    /// Returns the record for the guest: user data at 0, error at 8, type at 10, bytes at
    /// 16, flags at 24.
    pub(crate) fn into_record(self) -> [u8; PollEvent::BYTES] {
        let mut record = [0; PollEvent::BYTES];
        record[0..8].copy_from_slice(&self.userdata);
        let error = self.error.map_or(0, |errno| errno as u16);
        record[8..10].copy_from_slice(&error.to_le_bytes());
        record[10] = self.event as u8;
        record[16..24].copy_from_slice(&self.bytes.to_le_bytes());
        record[24] = u8::from(self.hangup);
        record
    }
}

/// Reads a time: clock at 16, nanoseconds at 24, precision at 32, flags at 40.
fn parse_time(record: &[u8; Subscription::BYTES]) -> Result<Awaited, Errno> {
    let clock = match Clock::from_id(u32::from_le_bytes(field(record, 16))) {
        Ok(clock) => clock,
        Err(_) => return Err(Errno::Invalid),
    };
    let timeout = u64::from_le_bytes(field(record, 24));
    const RELATIVE: u16 = 0;
    const ABSOLUTE: u16 = 1;
    let time = match u16::from_le_bytes(field(record, 40)) {
        RELATIVE => clock.now().saturating_add(timeout),
        ABSOLUTE => timeout,
        _ => return Err(Errno::Invalid),
    };
    Ok(Awaited::Time { clock, time })
}

fn to_read(fd: u32, descriptors: &Descriptors) -> Result<Awaited, Errno> {
    let wanted = Rights::FD_READ | Rights::POLL_FD_READWRITE;
    match &descriptors.allowed(fd, wanted)?.kind {
        Kind::Input(input) => Ok(Awaited::Input(input.clone())),
        Kind::File(_) => Ok(Awaited::Ready(EventType::FdRead)),
        Kind::Printer(_) | Kind::Dir(_) => Err(Errno::BadDescriptor),
    }
}

fn to_write(fd: u32, descriptors: &Descriptors) -> Result<Awaited, Errno> {
    let wanted = Rights::FD_WRITE | Rights::POLL_FD_READWRITE;
    match &descriptors.allowed(fd, wanted)?.kind {
        Kind::Printer(_) | Kind::File(_) => Ok(Awaited::Ready(EventType::FdWrite)),
        Kind::Input(_) | Kind::Dir(_) => Err(Errno::BadDescriptor),
    }
}

fn field<const N: usize>(record: &[u8; Subscription::BYTES], start: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&record[start..start + N]);
    field
}
