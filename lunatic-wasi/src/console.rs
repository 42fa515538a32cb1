//! The runtime's own standard output and standard error.

use std::io::{self, IsTerminal, Write};

use lunatic_blocking::Class;

/// One of the two streams that the runtime prints to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Console {
    Stdout,
    Stderr,
}

impl Console {
    /// Prints all of `bytes` in one piece, and returns when they are printed.
    ///
    /// If the future is dropped, either all of the bytes are printed or none.
    pub(crate) async fn print(self, bytes: Vec<u8>) -> io::Result<()> {
        let class = match self {
            Console::Stdout => Class::Stdout,
            Console::Stderr => Class::Stderr,
        };
        class.queue().run(move || self.print_now(&bytes)).await
    }

    pub(crate) fn is_terminal(self) -> bool {
        match self {
            Console::Stdout => io::stdout().is_terminal(),
            Console::Stderr => io::stderr().is_terminal(),
        }
    }

    fn print_now(self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Console::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(bytes)?;
                stdout.flush()
            }
            Console::Stderr => io::stderr().lock().write_all(bytes),
        }
    }
}
