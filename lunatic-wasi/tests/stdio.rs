//! What a process prints and reads.

mod guest;

use guest::{Guest, args, at, errno};
use lunatic_wasi::{Capture, Input, ProcExit, Stdio, WasiConfig};

fn captured() -> (Guest, Capture) {
    let capture = Capture::root();
    let stdio = Stdio::captured(capture.clone());
    (Guest::new(WasiConfig::default(), stdio), capture)
}

fn reading(text: &'static str) -> Guest {
    let stdio = Stdio::default().with_input(Input::from_reader(text.as_bytes()));
    Guest::new(WasiConfig::default(), stdio)
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
fn standard_input_is_read_to_its_end() {
    let mut guest = reading("hello");
    assert_eq!(guest.read(0, 3), Ok(b"hel".to_vec()));
    assert_eq!(guest.read(0, 3), Ok(b"lo".to_vec()));
    assert_eq!(guest.read(0, 3), Ok(Vec::new()));
}

#[test]
fn standard_streams_cannot_seek() {
    let mut guest = Guest::bare();
    for fd in 0..3 {
        let seek = guest.call("fd_seek", &args![fd, 0i64, 0, at::RESULT]);
        assert_eq!(seek, Err(errno::SPIPE));
    }
}

#[test]
fn proc_exit_ends_the_process_with_its_code() {
    let mut guest = Guest::bare();
    let error = guest.try_call("proc_exit", &args![3]).expect_err("it ends");
    assert_eq!(error.downcast_ref(), Some(&ProcExit(3)));
}
