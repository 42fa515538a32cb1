//! The error numbers of preview 1.

use std::io;

use rustix::io::Errno as Os;

/// An error of preview 1, with the number that the specification gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
#[allow(missing_docs)] // The names are POSIX's own.
pub enum Errno {
    TooBig = 1,
    Access = 2,
    AddressInUse = 3,
    AddressNotAvailable = 4,
    AddressFamilyNotSupported = 5,
    Again = 6,
    Already = 7,
    BadDescriptor = 8,
    BadMessage = 9,
    Busy = 10,
    Canceled = 11,
    Child = 12,
    ConnectionAborted = 13,
    ConnectionRefused = 14,
    ConnectionReset = 15,
    Deadlock = 16,
    DestinationRequired = 17,
    Domain = 18,
    DiskQuota = 19,
    Exists = 20,
    Fault = 21,
    FileTooBig = 22,
    HostUnreachable = 23,
    IdentifierRemoved = 24,
    IllegalSequence = 25,
    InProgress = 26,
    Interrupted = 27,
    Invalid = 28,
    Io = 29,
    IsConnected = 30,
    IsDirectory = 31,
    Loop = 32,
    TooManyOpenHere = 33,
    TooManyLinks = 34,
    MessageSize = 35,
    Multihop = 36,
    NameTooLong = 37,
    NetworkDown = 38,
    NetworkReset = 39,
    NetworkUnreachable = 40,
    TooManyOpenEverywhere = 41,
    NoBufferSpace = 42,
    NoDevice = 43,
    NoEntry = 44,
    NotExecutable = 45,
    NoLock = 46,
    NoLink = 47,
    NoMemory = 48,
    NoMessage = 49,
    NoProtocolOption = 50,
    NoSpace = 51,
    NotImplemented = 52,
    NotConnected = 53,
    NotDirectory = 54,
    NotEmpty = 55,
    NotRecoverable = 56,
    NotSocket = 57,
    NotSupported = 58,
    NotTerminal = 59,
    NoSuchDevice = 60,
    Overflow = 61,
    OwnerDead = 62,
    NotPermitted = 63,
    BrokenPipe = 64,
    Protocol = 65,
    ProtocolNotSupported = 66,
    WrongProtocolType = 67,
    Range = 68,
    ReadOnly = 69,
    IllegalSeek = 70,
    NoSuchProcess = 71,
    Stale = 72,
    TimedOut = 73,
    TextBusy = 74,
    CrossDevice = 75,
    NotCapable = 76,
}

/// The errors of the operating system and their counterparts in preview 1. Those that
/// have none are `Io`.
const FROM_OS: &[(Os, Errno)] = &[
    (Os::TOOBIG, Errno::TooBig),
    (Os::ACCESS, Errno::Access),
    (Os::AGAIN, Errno::Again),
    (Os::BADF, Errno::BadDescriptor),
    (Os::BUSY, Errno::Busy),
    (Os::DQUOT, Errno::DiskQuota),
    (Os::EXIST, Errno::Exists),
    (Os::FAULT, Errno::Fault),
    (Os::FBIG, Errno::FileTooBig),
    (Os::ILSEQ, Errno::IllegalSequence),
    (Os::INTR, Errno::Interrupted),
    (Os::INVAL, Errno::Invalid),
    (Os::IO, Errno::Io),
    (Os::ISDIR, Errno::IsDirectory),
    (Os::LOOP, Errno::Loop),
    (Os::MFILE, Errno::TooManyOpenHere),
    (Os::MLINK, Errno::TooManyLinks),
    (Os::NAMETOOLONG, Errno::NameTooLong),
    (Os::NFILE, Errno::TooManyOpenEverywhere),
    (Os::NODEV, Errno::NoDevice),
    (Os::NOENT, Errno::NoEntry),
    (Os::NOMEM, Errno::NoMemory),
    (Os::NOSPC, Errno::NoSpace),
    (Os::NOSYS, Errno::NotImplemented),
    (Os::NOTDIR, Errno::NotDirectory),
    (Os::NOTEMPTY, Errno::NotEmpty),
    (Os::NOTSUP, Errno::NotSupported),
    (Os::NOTTY, Errno::NotTerminal),
    (Os::NXIO, Errno::NoSuchDevice),
    (Os::OVERFLOW, Errno::Overflow),
    (Os::PERM, Errno::NotPermitted),
    (Os::PIPE, Errno::BrokenPipe),
    (Os::ROFS, Errno::ReadOnly),
    (Os::SPIPE, Errno::IllegalSeek),
    (Os::STALE, Errno::Stale),
    (Os::TIMEDOUT, Errno::TimedOut),
    (Os::TXTBSY, Errno::TextBusy),
    (Os::XDEV, Errno::CrossDevice),
];

impl From<io::Error> for Errno {
    fn from(error: io::Error) -> Errno {
        match Os::from_io_error(&error) {
            Some(os) => FROM_OS
                .iter()
                .find_map(|(from, errno)| (*from == os).then_some(*errno))
                .unwrap_or(Errno::Io),
            None => from_kind(error.kind()),
        }
    }
}

/// Returns the number of an error that does not come from the operating system, but
/// from the checks before it: a path leads out of its directory, for example, or has a
/// byte 0 in it.
fn from_kind(kind: io::ErrorKind) -> Errno {
    match kind {
        io::ErrorKind::NotFound => Errno::NoEntry,
        io::ErrorKind::PermissionDenied => Errno::NotPermitted,
        io::ErrorKind::InvalidInput => Errno::Invalid,
        io::ErrorKind::InvalidData => Errno::IllegalSequence,
        io::ErrorKind::Unsupported => Errno::NotSupported,
        io::ErrorKind::WriteZero => Errno::NoSpace,
        _ => Errno::Io,
    }
}
