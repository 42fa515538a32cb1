//! Which file systems can be reached through a directory.
//!
//! Linux shows its own state as files: memories of processes, settings, devices. These
//! files are no data, so whoever is given a directory above them is not given them too.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::LazyLock;

use rustix::fs::{fstatfs, makedev};

use crate::metadata::{Kind, Metadata};

/// The file systems that can be reached through a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileSystems {
    /// Those that hold data.
    Data {
        /// The device of one that is known to do so.
        known: u64,
    },
    /// Those that hold data, and one of the kernel, which was named itself.
    Kernel {
        /// Its device.
        device: u64,
        /// Whether it shows the processes of the machine.
        is_proc: bool,
    },
}

impl FileSystems {
    /// Returns what is reached through a directory that was named itself.
    pub(crate) fn named(dir: &cap_std::fs::Dir) -> io::Result<FileSystems> {
        let device = rustix::fs::fstat(dir)?.st_dev;
        Ok(match is_of_kernel(dir, device)? {
            true => FileSystems::Kernel {
                device,
                is_proc: magic_of(dir)? == PROC,
            },
            false => FileSystems::Data { known: device },
        })
    }

    /// Returns what is reached through a directory below, which has been
    /// [checked](FileSystems::check).
    pub(crate) fn below(self, dir: Metadata) -> FileSystems {
        match self {
            FileSystems::Kernel { device, .. } if device == dir.device => self,
            FileSystems::Kernel { .. } | FileSystems::Data { .. } => {
                FileSystems::Data { known: dir.device }
            }
        }
    }

    /// Returns the metadata of an open file or directory.
    ///
    /// # Errors
    ///
    /// [`PermissionDenied`](io::ErrorKind::PermissionDenied) if it is on a file system
    /// that cannot be reached.
    pub(crate) fn check(self, file: &fs::File) -> io::Result<Metadata> {
        let metadata = Metadata::of(file)?;
        let (FileSystems::Data { known: device } | FileSystems::Kernel { device, .. }) = self;
        match metadata.device == device || !is_of_kernel(file, metadata.device)? {
            true => Ok(metadata),
            false => Err(refused(OF_THE_KERNEL)),
        }
    }

    /// Checks that a file whose metadata these are may be opened: a device only if it is
    /// on the file system of the kernel that was named.
    ///
    /// # Errors
    ///
    /// [`PermissionDenied`](io::ErrorKind::PermissionDenied) if it may not.
    pub(crate) fn check_opening(self, metadata: &Metadata) -> io::Result<()> {
        let is_device = matches!(metadata.kind, Kind::BlockDevice | Kind::CharacterDevice);
        let is_named = matches!(
            self,
            FileSystems::Kernel { device, .. } if device == metadata.device
        );
        match is_device && !is_named {
            true => Err(refused(OF_THE_KERNEL)),
            false => Ok(()),
        }
    }

    /// Returns whether the file system that was named shows the processes of the machine.
    pub(crate) fn show_processes(self) -> bool {
        matches!(self, FileSystems::Kernel { is_proc: true, .. })
    }
}

/// Returns the error of what is refused.
pub(crate) fn refused(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, reason)
}

const OF_THE_KERNEL: &str =
    "devices and files of the kernel are reached only through a directory of theirs that is named";

const PROC: i64 = 0x9fa0;

/// The numbers by which `statfs` tells the file systems of the kernel from others, as in
/// `linux/magic.h` and the sources of the kernel.
const OF_KERNEL: [i64; 22] = [
    PROC,
    0x6265_6572, // sysfs
    0x0000_1cd1, // devpts
    0x0027_e0eb, // cgroup
    0x6367_7270, // cgroup2
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x7363_6673, // securityfs
    0xf97c_ff8c, // selinuxfs
    0x4341_5d53, // smackfs
    0x5a3c_69f0, // apparmorfs
    0xcafe_4a11, // bpf
    0x6165_676c, // pstore
    0xde5e_81e4, // efivarfs
    0x6265_6570, // configfs
    0x4249_4e4d, // binfmt_misc
    0x6e73_6673, // nsfs
    0x1980_0202, // mqueue
    0x0765_5821, // resctrl
    0x6c6f_6f70, // binderfs
    0x6573_5543, // fusectl
    0x0000_9fa2, // usbdevfs
];

fn is_of_kernel(file: impl AsFd, device: u64) -> io::Result<bool> {
    let magic = magic_of(file)?;
    Ok(OF_KERNEL.contains(&magic) || DEVICES.contains(&device))
}

fn magic_of(file: impl AsFd) -> io::Result<i64> {
    // The type is signed or not, and wider or not, from one architecture to another.
    Ok(i64::from(fstatfs(file)?.f_type as u32))
}

/// The file systems that hold the devices of the machine, which `statfs` cannot tell from
/// others in memory: `devtmpfs`, of which there is one wherever it is mounted, and in a
/// container what is mounted at `/dev`.
static DEVICES: LazyLock<Vec<u64>> = LazyLock::new(|| {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let devtmpfs = mounts.lines().find_map(device_of_devtmpfs);
    devtmpfs.into_iter().chain(mounted_at_dev()).collect()
});

/// Returns the device of what is mounted at `/dev`, if that is a mount of its own.
fn mounted_at_dev() -> Option<u64> {
    let dev = fs::metadata("/dev").ok()?.dev();
    let root = fs::metadata("/").ok()?.dev();
    (dev != root).then_some(dev)
}

/// Returns the device of a line of `mountinfo`, if that is one of `devtmpfs`.
fn device_of_devtmpfs(line: &str) -> Option<u64> {
    let (mount, file_system) = line.split_once(" - ")?;
    if file_system.split(' ').next()? != "devtmpfs" {
        return None;
    }
    let (major, minor) = mount.split(' ').nth(2)?.split_once(':')?;
    Some(makedev(major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_device_of_devtmpfs_is_found_in_its_line() {
        let line = "24 30 0:6 / /dev rw,nosuid shared:2 - devtmpfs udev rw,size=1k";
        assert_eq!(device_of_devtmpfs(line), Some(makedev(0, 6)));
        let line = "24 30 0:7 / /dev/devtmpfs rw shared:2 - tmpfs devtmpfs rw";
        assert_eq!(device_of_devtmpfs(line), None);
        assert_eq!(device_of_devtmpfs("24 30 - devtmpfs"), None);
    }
}
