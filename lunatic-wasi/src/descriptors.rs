//! The file descriptors of a process.

use std::sync::Arc;

use lunatic_account::{Account, Charge, Kind as Counted};
use lunatic_fs::{Dir, File, Node};

use crate::errno::Errno;
use crate::fdflags::FdFlags;
use crate::filetype::FileType;
use crate::input::Input;
use crate::opened_config::OpenedConfig;
use crate::rights::Rights;
use crate::stdio::{Printer, Stdio};

/// The file descriptors of a process. At first, 0 to 2 are the standard streams, and
/// the preopened directories follow. A new one gets the lowest free number.
#[derive(Debug)]
pub(crate) struct Descriptors {
    slots: Vec<Option<Descriptor>>,
}

/// An open file descriptor.
#[derive(Debug)]
pub(crate) struct Descriptor {
    pub(crate) kind: Kind,
    /// What may be done with it.
    pub(crate) rights: Rights,
    /// What may be done with those that are opened through it.
    pub(crate) inheriting: Rights,
}

/// What a file descriptor stands for.
#[derive(Debug)]
pub(crate) enum Kind {
    Input(Input),
    Printer(Printer),
    Dir(OpenDir),
    File(OpenFile),
}

/// An open directory.
#[derive(Debug)]
pub(crate) struct OpenDir {
    pub(crate) dir: Dir,
    /// The name of a directory that was open from the start.
    pub(crate) preopened_as: Option<Arc<str>>,
}

/// An open file.
#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(crate) file: File,
    pub(crate) flags: FdFlags,
}

impl Descriptors {
    /// The highest number of descriptors that one process may have open.
    pub(crate) const LIMIT: usize = 1024;

    /// Returns the descriptors of a new process.
    pub(crate) fn new(config: &OpenedConfig, stdio: &Stdio) -> Descriptors {
        let input = Kind::Input(stdio.input().clone());
        let mut slots = vec![Some(Descriptor::new(input))];
        for printer in stdio.printers() {
            slots.push(Some(Descriptor::new(Kind::Printer(printer))));
        }
        for (preopen, dir) in config.dirs() {
            let dir = Kind::Dir(OpenDir {
                dir: dir.clone(),
                preopened_as: Some(preopen.shared_guest()),
            });
            slots.push(Some(Descriptor::new(dir)));
        }
        Descriptors { slots }
    }

    /// Charges the descriptors of the directories of a new process, if these are many. They may be
    /// there already, and are not refused.
    pub(crate) fn charge(config: &OpenedConfig, account: &Account) -> Option<Charge> {
        /// So many are a part of what each process takes.
        const FEW: usize = 16;
        let count = config.dirs().count();
        let bytes = (count * size_of::<Option<Descriptor>>()) as u64;
        (count > FEW).then(|| Charge::beyond_limits(account, Counted::Memory, bytes))
    }

    /// Returns how many are open.
    pub(crate) fn count(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    /// Returns the descriptor with this number, or `badf`.
    pub(crate) fn get(&self, fd: u32) -> Result<&Descriptor, Errno> {
        self.slots
            .get(fd as usize)
            .and_then(Option::as_ref)
            .ok_or(Errno::BadDescriptor)
    }

    /// Returns the descriptor with this number, if it has all the rights `wanted`.
    ///
    /// `badf` if it lacks the right to read or to write, as in POSIX, and
    /// `notcapable` if it lacks another one.
    pub(crate) fn allowed(&self, fd: u32, wanted: Rights) -> Result<&Descriptor, Errno> {
        let descriptor = self.get(fd)?;
        if descriptor.rights.contain(wanted) {
            return Ok(descriptor);
        }
        match wanted & (Rights::FD_READ | Rights::FD_WRITE) {
            Rights::NONE => Err(Errno::NotCapable),
            _ => Err(Errno::BadDescriptor),
        }
    }

    /// Returns the open file with this number, if it has all the rights `wanted`.
    ///
    /// `badf` for a directory, as in the reference runtime.
    pub(crate) fn file(&self, fd: u32, wanted: Rights) -> Result<&OpenFile, Errno> {
        match &self.get(fd)?.kind {
            Kind::Input(_) | Kind::Printer(_) => Err(Errno::IllegalSeek),
            Kind::Dir(_) => Err(Errno::BadDescriptor),
            Kind::File(file) => self.allowed(fd, wanted).map(|_| file),
        }
    }

    /// Returns the open directory with this number, if it has all the rights `wanted`.
    pub(crate) fn dir(&self, fd: u32, wanted: Rights) -> Result<&Dir, Errno> {
        match &self.get(fd)?.kind {
            Kind::Dir(OpenDir { dir, .. }) => self.allowed(fd, wanted).map(|_| dir),
            _ => Err(Errno::NotDirectory),
        }
    }

    /// Returns the open file or directory with this number, if it has all the rights
    /// `wanted`, or `None` if it is a standard stream.
    pub(crate) fn node(&self, fd: u32, wanted: Rights) -> Result<Option<Node>, Errno> {
        let node = match &self.get(fd)?.kind {
            Kind::Input(_) | Kind::Printer(_) => return Ok(None),
            Kind::Dir(OpenDir { dir, .. }) => Node::Dir(dir.clone()),
            Kind::File(OpenFile { file, .. }) => Node::File(file.clone()),
        };
        self.allowed(fd, wanted).map(|_| Some(node))
    }

    /// Checks that one more descriptor can be open; `mfile` if not.
    pub(crate) fn check_room(&self) -> Result<(), Errno> {
        match self.slots.iter().flatten().count() < Descriptors::LIMIT {
            true => Ok(()),
            false => Err(Errno::TooManyOpenHere),
        }
    }

    /// Adds a descriptor and returns its number, the lowest that is free.
    pub(crate) fn insert(&mut self, descriptor: Descriptor) -> Result<u32, Errno> {
        self.check_room()?;
        let free = self.slots.iter().position(Option::is_none);
        let fd = free.unwrap_or(self.slots.len());
        match free {
            Some(fd) => self.slots[fd] = Some(descriptor),
            None => self.slots.push(Some(descriptor)),
        }
        Ok(fd as u32)
    }

    /// Returns the descriptor with this number, to change.
    pub(crate) fn get_mut(&mut self, fd: u32) -> Result<&mut Descriptor, Errno> {
        self.slots
            .get_mut(fd as usize)
            .and_then(Option::as_mut)
            .ok_or(Errno::BadDescriptor)
    }

    /// Takes a descriptor out of the table.
    pub(crate) fn remove(&mut self, fd: u32) -> Result<Descriptor, Errno> {
        self.slots
            .get_mut(fd as usize)
            .and_then(Option::take)
            .ok_or(Errno::BadDescriptor)
    }

    /// Gives the descriptor `from` the number `to`; the one that has it is closed.
    pub(crate) fn renumber(&mut self, from: u32, to: u32) -> Result<(), Errno> {
        self.get(to)?;
        let descriptor = self.remove(from)?;
        self.slots[to as usize] = Some(descriptor);
        Ok(())
    }
}

impl Descriptor {
    /// Returns the descriptor of a file or directory that was opened, with those of
    /// `rights` that its kind can have. It passes on what the directory passes on in
    /// which it was opened.
    pub(crate) fn opened(
        node: Node,
        rights: Rights,
        inheriting: Rights,
        flags: FdFlags,
    ) -> Descriptor {
        let kind = match node {
            Node::File(file) => Kind::File(OpenFile { file, flags }),
            Node::Dir(dir) => Kind::Dir(OpenDir {
                dir,
                preopened_as: None,
            }),
        };
        let all = Descriptor::new(kind);
        Descriptor {
            rights: all.rights & rights,
            inheriting: all.inheriting & inheriting,
            ..all
        }
    }

    /// Returns a descriptor with all the rights that its kind can have.
    fn new(kind: Kind) -> Descriptor {
        let (rights, inheriting) = kind.rights();
        Descriptor {
            kind,
            rights,
            inheriting,
        }
    }
}

impl Kind {
    /// Returns its type as the guest sees it.
    pub(crate) fn file_type(&self) -> FileType {
        match self {
            Kind::Input(input) => FileType::of_stream(input.is_terminal()),
            Kind::Printer(printer) => FileType::of_stream(printer.is_terminal()),
            Kind::Dir(_) => FileType::Directory,
            Kind::File(OpenFile { file, .. }) => file.kind().into(),
        }
    }

    /// Returns the flags that it was opened with, or that were set since.
    pub(crate) fn flags(&self) -> FdFlags {
        match self {
            Kind::Input(_) | Kind::Dir(_) => FdFlags::NONE,
            Kind::Printer(_) => FdFlags::APPEND,
            Kind::File(OpenFile { flags, .. }) => *flags,
        }
    }

    fn rights(&self) -> (Rights, Rights) {
        match self {
            Kind::Input(_) => (Rights::INPUT, Rights::NONE),
            Kind::Printer(_) => (Rights::PRINTER, Rights::NONE),
            Kind::Dir(_) => (Rights::DIRECTORY, Rights::DIRECTORY | Rights::FILE),
            Kind::File(_) => (Rights::FILE, Rights::NONE),
        }
    }
}
