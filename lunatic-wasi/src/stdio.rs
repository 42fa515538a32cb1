//! Where a process reads and prints.

use std::io;

use crate::capture::Capture;
use crate::console::Console;
use crate::input::Input;

/// The three standard streams of a process.
///
/// By default they are those of the runtime.
///
/// ```
/// use lunatic_wasi::{Capture, Input, Output, Stdio};
///
/// let errors = Capture::root();
/// let stdio = Stdio::default()
///     .with_input(Input::from_reader(&b"typed\n"[..]))
///     .with_outputs(Output::Inherit, Output::Capture(errors));
/// # drop(stdio);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Stdio {
    input: Input,
    output: Output,
    error: Output,
}

/// Where a process prints to.
///
/// By default it is the standard output or standard error of the runtime.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Output {
    /// That of the runtime.
    #[default]
    Inherit,
    /// Memory, where it is kept.
    Capture(Capture),
}

impl Stdio {
    /// Returns streams of which standard output and standard error go to `capture`.
    pub fn captured(capture: Capture) -> Stdio {
        let capture = Output::Capture(capture);
        Stdio::default().with_outputs(capture.clone(), capture)
    }

    /// Returns the same streams with another input.
    pub fn with_input(self, input: Input) -> Stdio {
        Stdio { input, ..self }
    }

    /// Returns the same streams with other outputs.
    pub fn with_outputs(self, output: Output, error: Output) -> Stdio {
        Stdio {
            output,
            error,
            ..self
        }
    }

    /// Returns the streams of a child of the process. They are the same, but each
    /// captured one is a new one of its family. If both outputs go to one capture, so
    /// do those of the child.
    pub fn for_child(&self) -> Stdio {
        let output = self.output.for_child();
        let error = match (&self.output, &self.error) {
            (Output::Capture(out), Output::Capture(err)) if out.is_same(err) => output.clone(),
            _ => self.error.for_child(),
        };
        Stdio {
            input: self.input.clone(),
            output,
            error,
        }
    }

    pub(crate) fn input(&self) -> &Input {
        &self.input
    }

    pub(crate) fn printers(&self) -> [Printer; 2] {
        [
            Printer::new(Console::Stdout, &self.output),
            Printer::new(Console::Stderr, &self.error),
        ]
    }
}

impl Output {
    fn for_child(&self) -> Output {
        match self {
            Output::Inherit => Output::Inherit,
            Output::Capture(capture) => Output::Capture(capture.for_child()),
        }
    }
}

/// What file descriptor 1 or 2 stands for.
#[derive(Debug, Clone)]
pub(crate) enum Printer {
    Console(Console),
    Capture(Capture),
}

impl Printer {
    fn new(console: Console, output: &Output) -> Printer {
        match output {
            Output::Inherit => Printer::Console(console),
            Output::Capture(capture) => Printer::Capture(capture.clone()),
        }
    }

    /// Prints all of `bytes` in one piece.
    pub(crate) async fn print(&self, bytes: Vec<u8>) -> io::Result<()> {
        match self {
            Printer::Console(console) => console.print(bytes).await,
            Printer::Capture(capture) => {
                capture.append(&bytes);
                match capture.echoes() {
                    true => Console::Stdout.print(bytes).await,
                    false => Ok(()),
                }
            }
        }
    }

    /// Returns whether it is standard error.
    ///
    /// - `fd`: the descriptor, which tells of what is captured.
    pub(crate) fn is_error(&self, fd: u32) -> bool {
        match self {
            Printer::Console(console) => *console == Console::Stderr,
            Printer::Capture(_) => fd == 2,
        }
    }

    pub(crate) fn is_terminal(&self) -> bool {
        match self {
            Printer::Console(console) => console.is_terminal(),
            Printer::Capture(_) => false,
        }
    }
}
