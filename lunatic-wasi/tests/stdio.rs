//! What a process prints and reads.

mod guest;

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, channel};

use futures_lite::future::{block_on, poll_once};
use guest::{Guest, args, at, errno, filetype};
use lunatic_wasi::{Capture, Input, Output, Stdio, WasiConfig};

fn with(stdio: Stdio) -> Guest {
    Guest::new(WasiConfig::default(), stdio)
}

fn captured() -> (Guest, Capture) {
    let capture = Capture::root();
    (with(Stdio::captured(capture.clone())), capture)
}

fn reading(reader: impl Read + Send + 'static) -> Guest {
    with(Stdio::default().with_input(Input::from_reader(reader)))
}

/// A reader that gives what a test sends, chunk by chunk.
struct Sent(Receiver<Vec<u8>>);

impl Read for Sent {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let chunk = self.0.recv().unwrap_or_default();
        buffer[..chunk.len()].copy_from_slice(&chunk);
        Ok(chunk.len())
    }
}

/// A reader that must not be asked.
struct Untouched;

impl Read for Untouched {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        panic!("nobody has asked for input");
    }
}

#[test]
fn what_is_printed_is_captured_in_order() {
    let (mut guest, capture) = captured();
    assert_eq!(guest.write(1, b"one "), Ok(4));
    assert_eq!(guest.write(2, b"two "), Ok(4));
    assert_eq!(guest.write(1, b"three"), Ok(5));
    assert_eq!(capture.text(), "one two three");
}

#[test]
fn a_vector_of_buffers_is_printed_in_one_piece() {
    let (mut guest, capture) = captured();
    guest.put(at::DATA, b"hello world");
    let buffers = [(at::DATA, 5), (0, 0), (at::DATA + 5, 6), (at::DATA, 1)];
    for (i, (address, length)) in buffers.iter().enumerate() {
        let record = at::IOVS + 8 * i as u32;
        guest.put(record, &u32::to_le_bytes(*address));
        guest.put(record + 4, &u32::to_le_bytes(*length));
    }
    let write = guest.call("fd_write", &args![1, at::IOVS, 4, at::RESULT]);
    assert_eq!(write, Ok(()));
    assert_eq!(guest.take_u32(at::RESULT), 12);
    assert_eq!(capture.text(), "hello worldh");
}

#[test]
fn one_call_prints_at_most_a_megabyte_and_says_so() {
    let (mut guest, capture) = captured();
    let parameters = args![1, at::IOVS, 2, at::RESULT];
    for record in [at::IOVS, at::IOVS + 8] {
        guest.put(record, &at::DATA.to_le_bytes());
        guest.put(record + 4, &(1u32 << 20).to_le_bytes());
    }
    assert_eq!(guest.call("fd_write", &parameters), Ok(()));
    assert_eq!(guest.take_u32(at::RESULT), 1 << 20);
    assert_eq!(capture.text().len(), 1 << 20);
}

#[test]
fn children_of_a_captured_process_have_streams_of_their_own() {
    let root = Capture::root();
    let stdio = Stdio::captured(root.clone());
    let mut parent = with(stdio.clone());
    parent.write(1, b"parent\n").expect("it prints");
    assert_eq!(root.render(), "parent\n");
    let mut silent = with(stdio.for_child());
    silent.write(1, b"").expect("it prints nothing");
    let mut child = with(stdio.for_child());
    child.write(1, b"out\n").expect("it prints");
    child.write(2, b"err\n").expect("it prints");
    assert_eq!(root.text(), "parent\n");
    assert_eq!(
        root.render(),
        " --- process 0 stdout ---\nparent\n --- process 2 stdout ---\nout\nerr\n"
    );
}

#[test]
fn output_and_errors_can_be_captured_apart() {
    let (out, err) = (Capture::root(), Capture::root());
    let outputs = (Output::Capture(out.clone()), Output::Capture(err.clone()));
    let stdio = Stdio::default().with_outputs(outputs.0, outputs.1);
    with(stdio.clone()).write(2, b"err").expect("it prints");
    with(stdio.for_child()).write(1, b"out").expect("it prints");
    assert_eq!((out.text(), err.text()), (String::new(), "err".to_owned()));
    assert!(out.render().ends_with("out"));
}

#[test]
fn a_capture_does_not_grow_without_end() {
    let (mut guest, capture) = captured();
    let megabyte = vec![b'x'; 1 << 20];
    for _ in 0..17 {
        assert_eq!(guest.write(1, &megabyte), Ok(1 << 20));
    }
    let text = capture.text();
    assert!(text.len() < Capture::LIMIT + 100);
    assert!(text.ends_with("… and 1048576 more bytes\n"));
}

#[test]
fn a_captured_stream_is_no_terminal() {
    let (mut guest, _) = captured();
    let stat = guest.fd_stat(1).expect("it is open");
    assert_eq!(stat.file_type, filetype::UNKNOWN);
    assert_eq!(guest.call("fd_sync", &args![1]), Ok(()));
    assert_eq!(guest.call("fd_datasync", &args![1]), Ok(()));
    guest
        .call("fd_fdstat_get", &args![1, at::RECORDS])
        .expect("it is open");
    assert_eq!(guest.take(at::RECORDS, 1), [filetype::UNKNOWN]);
    const APPEND: u16 = 1;
    assert_eq!(guest.take_u16(at::RECORDS + 2), APPEND);
}

#[test]
fn standard_input_is_read_to_its_end() {
    let mut guest = reading(&b"hello"[..]);
    assert_eq!(guest.read(0, 3), Ok(b"hel".to_vec()));
    assert_eq!(guest.read(0, 3), Ok(b"lo".to_vec()));
    assert_eq!(guest.read(0, 3), Ok(Vec::new()));
    assert_eq!(guest.read(0, 3), Ok(Vec::new()));
}

#[test]
fn input_is_not_touched_before_a_process_asks() {
    let mut guest = reading(Untouched);
    assert_eq!(guest.write(1, b""), Ok(0));
    assert_eq!(
        guest.fd_stat(0).map(|stat| stat.file_type),
        Ok(filetype::UNKNOWN)
    );
    assert_eq!(guest.read(0, 0), Ok(Vec::new()));
}

#[test]
fn a_killed_reader_loses_no_byte_for_the_others() {
    let (send, receive) = channel();
    let input = Input::from_reader(Sent(receive));
    let stdio = Stdio::default().with_input(input);
    let (mut killed, mut other) = (with(stdio.clone()), with(stdio));
    let iovs = killed.put_iovec(at::DATA, 100);
    let parameters = args![0, iovs, 1, at::RESULT];
    let mut waiting = Box::pin(killed.call_async("fd_read", &parameters));
    assert!(block_on(poll_once(&mut waiting)).is_none());
    drop(waiting);
    send.send(b"kept".to_vec()).expect("the reader is there");
    assert_eq!(other.read(0, 2), Ok(b"ke".to_vec()));
    assert_eq!(other.read(0, 9), Ok(b"pt".to_vec()));
}

#[test]
fn an_error_of_the_input_is_told() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::InvalidData.into())
        }
    }
    assert_eq!(reading(Broken).read(0, 1), Err(errno::ILSEQ));
}

#[test]
fn standard_streams_cannot_seek() {
    let mut guest = Guest::bare();
    for fd in 0..3 {
        assert_eq!(guest.seek(fd, 0, 0), Err(errno::SPIPE));
        let tell = guest.call("fd_tell", &args![fd, at::RESULT]);
        assert_eq!(tell, Err(errno::SPIPE));
        let parameters = args![fd, at::IOVS, 0, 0u64, at::RESULT];
        assert_eq!(guest.call("fd_pread", &parameters), Err(errno::SPIPE));
        assert_eq!(guest.call("fd_pwrite", &parameters), Err(errno::SPIPE));
        let allocate = guest.call("fd_allocate", &args![fd, 0u64, 1u64]);
        assert_eq!(allocate, Err(errno::SPIPE));
        let advise = guest.call("fd_advise", &args![fd, 0u64, 1u64, 0]);
        assert_eq!(advise, Err(errno::SPIPE));
        let times = guest.call("fd_filestat_set_times", &args![fd, 0u64, 0u64, 0]);
        assert_eq!(times, Err(errno::BADF));
        let flags = guest.call("fd_fdstat_set_flags", &args![fd, 0]);
        assert_eq!(flags, Err(errno::NOTCAPABLE));
    }
}

#[test]
fn input_cannot_be_written_and_output_cannot_be_read() {
    let mut guest = Guest::bare();
    assert_eq!(guest.write(0, b"x"), Err(errno::BADF));
    assert_eq!(guest.read(1, 1), Err(errno::BADF));
    assert_eq!(guest.read(2, 1), Err(errno::BADF));
}

#[test]
fn a_closed_stream_is_closed() {
    let (mut guest, capture) = captured();
    assert_eq!(guest.close(1), Ok(()));
    assert_eq!(guest.write(1, b"x"), Err(errno::BADF));
    assert_eq!(guest.close(1), Err(errno::BADF));
    assert_eq!(guest.write(2, b"y"), Ok(1));
    assert_eq!(capture.text(), "y");
}
