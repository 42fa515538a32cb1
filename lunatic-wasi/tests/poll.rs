//! Waiting for several things at once.

mod guest;

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, channel};

use futures_lite::future::{block_on, poll_once};
use guest::{Guest, args, at, errno};
use lunatic_account::{Account, AccountLimits, Kind};
use lunatic_wasi::{Access, Input, Stdio, WasiConfig};

const REALTIME: u32 = 0;
const MONOTONIC: u32 = 1;
const RELATIVE: u16 = 0;
const ABSOLUTE: u16 = 1;
const FOREVER: u64 = u64::MAX;

/// One subscription as a guest writes it down.
type Record = [u8; 48];

fn clock(userdata: u64, id: u32, timeout: u64, flags: u16) -> Record {
    let mut record = [0; 48];
    record[0..8].copy_from_slice(&userdata.to_le_bytes());
    record[16..20].copy_from_slice(&id.to_le_bytes());
    record[24..32].copy_from_slice(&timeout.to_le_bytes());
    record[40..42].copy_from_slice(&flags.to_le_bytes());
    record
}

fn descriptor(userdata: u64, tag: u8, fd: u32) -> Record {
    let mut record = [0; 48];
    record[0..8].copy_from_slice(&userdata.to_le_bytes());
    record[8] = tag;
    record[16..20].copy_from_slice(&fd.to_le_bytes());
    record
}

fn readable(userdata: u64, fd: u32) -> Record {
    descriptor(userdata, 1, fd)
}

fn writable(userdata: u64, fd: u32) -> Record {
    descriptor(userdata, 2, fd)
}

/// User data, error, type, bytes and flags of an event.
type PollEvent = (u64, u16, u8, u64, u16);

fn put(guest: &mut Guest, subscriptions: &[Record]) -> [wasmtime::Val; 4] {
    guest.put(at::DATA, subscriptions.as_flattened());
    args![
        at::DATA,
        at::RECORDS,
        subscriptions.len() as u32,
        at::RESULT
    ]
}

fn events(guest: &mut Guest) -> Vec<PollEvent> {
    let count = guest.take_u32(at::RESULT);
    (0..count)
        .map(|i| {
            let event = at::RECORDS + 32 * i;
            (
                guest.take_u64(event),
                guest.take_u16(event + 8),
                guest.take(event + 10, 1)[0],
                guest.take_u64(event + 16),
                guest.take_u16(event + 24),
            )
        })
        .collect()
}

fn poll(guest: &mut Guest, subscriptions: &[Record]) -> Result<Vec<PollEvent>, i32> {
    let parameters = put(guest, subscriptions);
    guest.call("poll_oneoff", &parameters)?;
    Ok(events(guest))
}

fn reading(reader: impl Read + Send + 'static) -> Guest {
    let stdio = Stdio::default().with_input(Input::from_reader(reader));
    Guest::new(WasiConfig::default(), stdio)
}

/// A reader that gives what a test sends.
struct Sent(Receiver<u8>);

impl Read for Sent {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.recv() {
            Ok(byte) => {
                buffer[0] = byte;
                Ok(1)
            }
            Err(_) => Ok(0),
        }
    }
}

#[test]
fn a_relative_time_comes() {
    let mut guest = Guest::bare();
    let events = poll(&mut guest, &[clock(7, MONOTONIC, 1_000_000, RELATIVE)]);
    assert_eq!(events, Ok(vec![(7, 0, 0, 0, 0)]));
}

#[test]
fn of_several_times_only_those_that_came_are_told() {
    let mut guest = Guest::bare();
    let subscriptions = [
        clock(1, MONOTONIC, FOREVER, RELATIVE),
        clock(2, REALTIME, 1_000_000, RELATIVE),
        clock(3, MONOTONIC, FOREVER, ABSOLUTE),
    ];
    let events = poll(&mut guest, &subscriptions);
    assert_eq!(events, Ok(vec![(2, 0, 0, 0, 0)]));
}

#[test]
fn an_absolute_time_in_the_past_has_come() {
    let mut guest = Guest::bare();
    let subscriptions = [
        clock(1, REALTIME, 1, ABSOLUTE),
        clock(2, MONOTONIC, 1, ABSOLUTE),
    ];
    let events = poll(&mut guest, &subscriptions).expect("it is over");
    assert_eq!(events.len(), 2);
}

#[test]
fn an_absolute_time_of_the_realtime_clock_comes() {
    let mut guest = Guest::bare();
    guest
        .call("clock_time_get", &args![0, 0u64, at::RESULT])
        .expect("there is a clock");
    let soon = guest.take_u64(at::RESULT) + 2_000_000;
    let events = poll(&mut guest, &[clock(1, REALTIME, soon, ABSOLUTE)]);
    assert_eq!(events, Ok(vec![(1, 0, 0, 0, 0)]));
}

#[test]
fn a_sleeping_process_can_be_killed() {
    let mut guest = Guest::bare();
    let parameters = put(&mut guest, &[clock(1, MONOTONIC, FOREVER, RELATIVE)]);
    let mut sleeping = Box::pin(guest.call_async("poll_oneoff", &parameters));
    assert!(block_on(poll_once(&mut sleeping)).is_none());
    drop(sleeping);
}

#[test]
fn input_is_readable_when_it_has_come() {
    let (send, receive) = channel();
    let mut guest = reading(Sent(receive));
    let subscriptions = [readable(1, 0), clock(2, MONOTONIC, FOREVER, RELATIVE)];
    let parameters = put(&mut guest, &subscriptions);
    let mut waiting = Box::pin(guest.call_async("poll_oneoff", &parameters));
    assert!(block_on(poll_once(&mut waiting)).is_none());
    send.send(b'!').expect("the reader is there");
    assert_eq!(block_on(waiting).expect("no trap"), 0);
    assert_eq!(events(&mut guest), [(1, 0, 1, 1, 0)]);
    assert_eq!(guest.read(0, 9), Ok(b"!".to_vec()));
}

#[test]
fn the_end_of_the_input_is_told_as_a_hangup() {
    let mut guest = reading(io::empty());
    let events = poll(&mut guest, &[readable(1, 0)]);
    assert_eq!(events, Ok(vec![(1, 0, 1, 0, 1)]));
}

#[test]
fn a_time_comes_although_there_is_no_input() {
    let (_send, receive) = channel();
    let mut guest = reading(Sent(receive));
    let subscriptions = [readable(1, 0), clock(2, MONOTONIC, 1_000_000, RELATIVE)];
    let events = poll(&mut guest, &subscriptions);
    assert_eq!(events, Ok(vec![(2, 0, 0, 0, 0)]));
}

#[test]
fn output_and_files_are_always_ready() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut guest = Guest::in_dir(dir.path(), Access::ReadWrite);
    let fd = guest.create(3, "file").expect("a file");
    let subscriptions = [
        writable(1, 1),
        writable(2, 2),
        readable(3, fd),
        writable(4, fd),
        clock(5, MONOTONIC, FOREVER, RELATIVE),
    ];
    let events = poll(&mut guest, &subscriptions).expect("they are ready");
    let told: Vec<_> = events.iter().map(|event| (event.0, event.2)).collect();
    assert_eq!(told, [(1, 2), (2, 2), (3, 1), (4, 2)]);
}

#[test]
fn malformed_subscriptions_are_refused() {
    let mut guest = Guest::bare();
    assert_eq!(poll(&mut guest, &[]), Err(errno::INVAL));
    let unknown_tag = descriptor(1, 3, 0);
    assert_eq!(poll(&mut guest, &[unknown_tag]), Err(errno::INVAL));
    let unknown_clock = clock(1, 9, 0, RELATIVE);
    assert_eq!(poll(&mut guest, &[unknown_clock]), Err(errno::INVAL));
    let cpu_clock = clock(1, 2, 0, RELATIVE);
    assert_eq!(poll(&mut guest, &[cpu_clock]), Err(errno::INVAL));
    let unknown_flag = clock(1, MONOTONIC, 0, 2);
    assert_eq!(poll(&mut guest, &[unknown_flag]), Err(errno::INVAL));
    let parameters = args![0, 0, 4097, at::RESULT];
    assert_eq!(guest.call("poll_oneoff", &parameters), Err(errno::INVAL));
}

#[test]
fn a_descriptor_that_is_not_open_is_refused() {
    let mut guest = Guest::bare();
    assert_eq!(poll(&mut guest, &[readable(1, 77)]), Err(errno::BADF));
    assert_eq!(poll(&mut guest, &[readable(1, 1)]), Err(errno::BADF));
    assert_eq!(poll(&mut guest, &[writable(1, 0)]), Err(errno::BADF));
}

#[test]
fn many_subscriptions_are_charged_while_they_are_waited_for() {
    let mut guest = Guest::bare();
    let limits = AccountLimits {
        memory: 1000,
        ..AccountLimits::UNLIMITED
    };
    guest.store.data_mut().account = Account::root(limits);
    let few = vec![clock(1, MONOTONIC, 0, RELATIVE); 64];
    assert_eq!(poll(&mut guest, &few).map(|events| events.len()), Ok(64));
    let many = put(&mut guest, &vec![clock(1, MONOTONIC, 0, RELATIVE); 1000]);
    let refused = guest
        .try_call("poll_oneoff", &many)
        .expect_err("too many to pay for");
    let text = format!("{refused:#}");
    assert!(text.contains("bytes of memory is reached"), "{text}");
    assert_eq!(guest.store.data().account.used(Kind::Memory), 0);
}
