//! Keeps the memory of the whole runtime below a limit.
//!
//! What guests make the host keep is charged to accounts, and refused there. The pages
//! of linear memory are not known before they are written, nor what the kernel keeps for what
//! arrives at sockets, so a thread looks how much memory the program takes, the more often the less is left. Shortly below the limit
//! charges of memory are refused to those branches that have more than their part; if it rises
//! on, to all, and processes are killed, those of the branch that uses most before others, before
//! the limit is reached: they go on until their next tick.

mod branches;

use std::cell::Cell;
use std::cmp::Reverse;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use lunatic_account::{Account, Kind, Shortage};
use lunatic_process::{Environment, Process, RateLimit, WeakEnvironment};
use parking_lot::Mutex;

use self::branches::{Branch, Heaviest};

/// Watches the memory of the program until it is dropped.
#[derive(Debug)]
pub(crate) struct MemoryWatch {
    stopped: Arc<AtomicBool>,
}

/// How the allocator of the program gives back what it keeps.
static GIVE_BACK: OnceLock<fn()> = OnceLock::new();

/// Has a function called before guests are refused memory, and before processes are killed, because
/// the program has little memory left. It is to give back to the system what the allocator of
/// the program keeps of what was freed: as long as that is not given back, it counts as used. The
/// first function that is set stays.
pub fn when_memory_is_short(give_back: fn()) {
    GIVE_BACK.get_or_init(|| give_back);
}

/// What is to be done about the memory that the program takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Verdict {
    refuse: bool,
    kill: bool,
    /// Whether the allocator is to give back what it keeps.
    give_back: bool,
    /// How many bytes may be taken before more is refused.
    left: u64,
    /// The most bytes that may be taken in one step.
    largest: u64,
    /// How long to wait until the next look.
    pause: Duration,
}

impl MemoryWatch {
    /// Starts the thread that watches. It is not started where the memory of the program
    /// cannot be told.
    ///
    /// - `limit`: in bytes.
    /// - `account`: the root of the tree of accounts.
    /// - `environments`: those whose processes can be killed.
    ///
    /// # Errors
    ///
    /// Fails if there can be no thread.
    pub(crate) fn start(
        limit: u64,
        account: Account,
        environments: Arc<Mutex<Vec<WeakEnvironment>>>,
    ) -> io::Result<MemoryWatch> {
        let stopped = Arc::new(AtomicBool::new(false));
        let watch = MemoryWatch {
            stopped: stopped.clone(),
        };
        if let Some(meter) = Meter::new().filter(|meter| meter.taken().is_some()) {
            let run = move || watch_until_stopped(limit, &account, &environments, &stopped, &meter);
            thread::Builder::new().name("memory".into()).spawn(run)?;
        }
        Ok(watch)
    }
}

impl Drop for MemoryWatch {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

fn watch_until_stopped(
    limit: u64,
    account: &Account,
    environments: &Mutex<Vec<WeakEnvironment>>,
    stopped: &AtomicBool,
    meter: &Meter,
) {
    /// How often it is looked who has more than its part.
    const INTERVAL: Duration = Duration::from_millis(100);
    let mut refuses = false;
    let mut looked = None;
    let mut gave_back = None;
    let mut killed = 0;
    let mut last_kill = None;
    // Guests can bring a shortage about again and again.
    let mut reports = RateLimit::new(1, Duration::from_secs(1));
    let mut is_told = false;
    let mut resident = 0;
    while !stopped.load(Ordering::Relaxed) {
        // If it cannot be told once, it is as much as before.
        resident = meter.taken().unwrap_or(resident);
        let charged = account.used(Kind::Memory);
        let mut verdict = judge(resident, charged, limit, refuses);
        let is_time = |at: Instant| at.elapsed() >= verdict.patience();
        if verdict.give_back && gave_back.is_none_or(is_time) {
            if let Some(give_back) = GIVE_BACK.get() {
                give_back();
            }
            gave_back = Some(Instant::now());
            resident = meter.taken().unwrap_or(resident);
            verdict = judge(resident, charged, limit, refuses);
        }
        account.set_memory_left(verdict.left);
        account.set_largest_charge(verdict.largest);
        if verdict.refuse != refuses {
            refuses = verdict.refuse;
            if refuses {
                let now = Instant::now();
                reports.flush_if_due(now);
                is_told = reports.admits(now);
            }
            if is_told {
                report(refuses, [resident, charged, limit], killed);
            }
            killed = 0;
            looked = None;
            account.set_shortage(Shortage::None);
        }
        if verdict.kill {
            account.set_shortage(Shortage::All);
            looked = None;
        }
        let is_over = |kill: Kill| kill.is_over(resident, limit, Instant::now());
        if verdict.kill && last_kill.is_none_or(is_over) {
            let at = Instant::now();
            last_kill = Some(Kill { at, resident });
            let count = kill_some(processes(environments), resident.saturating_sub(charged));
            if killed == 0 && count > 0 {
                tracing::error!(resident, limit, "still out of memory: processes are killed");
            }
            killed += count;
        } else if !verdict.kill
            && refuses
            && looked.is_none_or(|at: Instant| at.elapsed() >= INTERVAL)
        {
            let root = Branch::root(processes(environments));
            account.set_shortage(root.shortage(account, resident, limit / 10 * 9));
            looked = Some(Instant::now());
        }
        thread::sleep(verdict.pause);
    }
}

impl Verdict {
    /// How long it takes at least until the allocator is asked again to give memory back.
    fn patience(&self) -> Duration {
        match self.kill {
            true => Duration::from_millis(10),
            false => Duration::from_millis(100),
        }
    }
}

/// Processes that were killed.
#[derive(Debug, Clone, Copy)]
struct Kill {
    at: Instant,
    /// What the program took then.
    resident: u64,
}

impl Kill {
    /// Whether others have to be killed, if there is still too little memory: until those that
    /// were have given theirs back, nobody else is, unless more is used meanwhile than they may
    /// have taken before they have noticed.
    fn is_over(self, resident: u64, limit: u64, now: Instant) -> bool {
        /// How long a process may take to end.
        const TIME: Duration = Duration::from_millis(300);
        let taken = resident.saturating_sub(self.resident);
        taken > limit / 100 || now.saturating_duration_since(self.at) >= TIME
    }
}

/// What to do.
///
/// - `charged`: to all accounts together, which may be more than what the program takes. It has the
///   same limit: who charges most is refused before nobody else can charge anything.
/// - `refuses`: whether memory is refused already. It is no longer when somewhat more
///   than a tenth of the limit is free again.
fn judge(resident: u64, charged: u64, limit: u64, refuses: bool) -> Verdict {
    /// Faster than two cores write to fresh pages, in bytes per second.
    const FASTEST: u64 = 4 << 30;
    let threshold = match refuses {
        true => limit / 20 * 17,
        false => limit / 10 * 9,
    };
    let kill_threshold = limit / 20 * 19;
    let left = threshold.saturating_sub(resident);
    let pause = |left: u64| Duration::from_micros(left / (FASTEST / 1_000_000));
    let for_pages = pause(left).max(Duration::from_millis(1));
    // What is charged and not written takes nothing of the machine, so it is looked at less often.
    let for_charges = pause(threshold.saturating_sub(charged)).max(Duration::from_millis(20));
    Verdict {
        refuse: resident.max(charged) > threshold,
        kill: resident > kill_threshold,
        give_back: resident > threshold,
        left,
        largest: kill_threshold.saturating_sub(resident),
        pause: for_pages.min(for_charges).min(Duration::from_millis(500)),
    }
}

/// The processes that can be killed, each with its account.
fn processes(
    environments: &Mutex<Vec<WeakEnvironment>>,
) -> impl Iterator<Item = (Account, Process)> {
    let environments: Vec<_> = environments.lock().clone();
    environments
        .into_iter()
        .filter_map(|environment| environment.upgrade())
        .flat_map(|environment: Environment| environment.processes())
        .map(|process| (process.account().clone(), process))
}

/// Kills the processes of the [heaviest](Branch::heaviest) branch; or, if all processes share the
/// account of the root, the younger half of them. Those that are about to end are left out.
/// Returns how many were killed.
///
/// - `uncharged`: what the program takes and was charged to nobody, in bytes.
fn kill_some(processes: impl Iterator<Item = (Account, Process)>, uncharged: u64) -> usize {
    let living = processes.filter(|(_, process)| !process.info().is_exiting);
    let Heaviest {
        processes: mut victims,
        is_root,
    } = Branch::root(living).heaviest(uncharged);
    if is_root {
        victims.sort_by_key(|process| Reverse(process.id()));
        victims.truncate(victims.len().div_ceil(2));
    }
    victims.iter().for_each(Process::kill);
    victims.len()
}

/// - `bytes`: what the program takes, what is charged, and the limit of both.
fn report(refuses: bool, bytes: [u64; 3], killed: usize) {
    let [resident, charged, limit] = bytes;
    match refuses {
        true => tracing::error!(
            resident,
            charged,
            limit,
            "out of memory: who has more than its part is refused more from now on"
        ),
        false => tracing::warn!(resident, limit, killed, "there is memory again"),
    }
}

/// The bytes of memory that the program takes; `None` where that cannot be told.
pub(crate) fn resident() -> Option<u64> {
    Meter::new()?.resident()
}

/// Tells how much memory the program takes. It opens no file for that, as there may be no descriptor
/// left.
#[derive(Debug)]
struct Meter {
    status: File,
    /// `None` where no control group tells of sockets.
    sockets: Option<SocketMeter>,
}

impl Meter {
    fn new() -> Option<Meter> {
        Some(Meter {
            status: File::open("/proc/self/status").ok()?,
            sockets: SocketMeter::new(),
        })
    }

    /// The bytes of memory that the program takes, with what the kernel keeps for its sockets;
    /// `None` if that cannot be told.
    fn taken(&self) -> Option<u64> {
        let sockets = self.sockets.as_ref().map_or(0, SocketMeter::bytes);
        Some(self.resident()?.saturating_add(sockets))
    }

    /// The bytes of memory that the program takes itself; `None` if that cannot be told.
    fn resident(&self) -> Option<u64> {
        kibibytes(&read_again(&self.status)?, "VmRSS:")
    }
}

/// Tells how much memory the kernel keeps for what the sockets of the control group of this program
/// have not received or sent yet. Those of groups above it may be of other programs.
#[derive(Debug)]
struct SocketMeter {
    file: File,
    /// What was there at the start, in bytes: it is not this program's.
    of_others: u64,
    /// How much it was, and when.
    known: Cell<Option<(Instant, u64)>>,
}

impl SocketMeter {
    fn new() -> Option<SocketMeter> {
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        let group = limiting_group(&groups)?;
        let file = File::open(group.folders().next()?.join(group.sockets)).ok()?;
        let meter = SocketMeter {
            of_others: read_again(&file).and_then(|text| socket_bytes(&text))?,
            file,
            known: Cell::new(None),
        };
        Some(meter)
    }

    /// How many bytes that is. It is looked seldom: to sum it up takes the kernel some time.
    fn bytes(&self) -> u64 {
        const INTERVAL: Duration = Duration::from_millis(100);
        if let Some((at, bytes)) = self.known.get()
            && at.elapsed() < INTERVAL
        {
            return bytes;
        }
        let text = read_again(&self.file);
        let bytes = text.and_then(|text| socket_bytes(&text)).unwrap_or(0);
        let bytes = bytes.saturating_sub(self.of_others);
        self.known.set(Some((Instant::now(), bytes)));
        bytes
    }
}

/// The bytes of sockets that a file of a control group tells of: version 1 has one for that, and
/// version 2 a line.
fn socket_bytes(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("sock "));
    line.unwrap_or(text).trim().parse().ok()
}

/// The text of an open file, from its start.
fn read_again(mut file: &File) -> Option<String> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.read_to_string(&mut text).ok()?;
    Some(text)
}

/// The value of a line of a text from `/proc` that is given in kB, in bytes.
fn kibibytes(text: &str, key: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(key))?;
    let kibibytes: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

/// The memory of the machine, or of the control group of the program if that has less, in
/// bytes; `None` where that cannot be told.
pub(crate) fn available() -> Option<u64> {
    let machine = kibibytes(&fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")?;
    Some(machine.min(control_group_limit().unwrap_or(u64::MAX)))
}

/// The lowest limit of the control groups that the program is in.
fn control_group_limit() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = limiting_group(&groups)?;
    group
        .folders()
        .filter_map(|folder| fs::read_to_string(folder.join(group.limit)).ok())
        .filter_map(|limit| limit.trim().parse().ok())
        .min()
}

/// Where control groups are mounted.
const CONTROL_GROUPS: &str = "/sys/fs/cgroup";

/// A control group that may limit memory, and the names of files there.
#[derive(Debug, PartialEq, Eq)]
struct Group {
    folder: PathBuf,
    /// Tells how much there may be.
    limit: &'static str,
    /// Tells, perhaps among other things, how much the sockets take.
    sockets: &'static str,
}

impl Group {
    /// Its folder, and those of the groups that it is in.
    fn folders(&self) -> impl Iterator<Item = &Path> {
        let above = self.folder.ancestors();
        above.take_while(|folder| folder.starts_with(CONTROL_GROUPS))
    }
}

/// The control group that may limit memory. Where both versions are mounted, memory is limited by
/// version 1 if that has the controller.
///
/// - `groups`: what `/proc/self/cgroup` tells.
fn limiting_group(groups: &str) -> Option<Group> {
    let of_version_1 = groups.lines().find_map(|line| {
        let (_, line) = line.split_once(':')?;
        let (controllers, path) = line.split_once(":/")?;
        let has_memory = controllers.split(',').any(|name| name == "memory");
        has_memory.then_some(path)
    });
    if let Some(path) = of_version_1 {
        return Some(Group {
            folder: Path::new(CONTROL_GROUPS).join("memory").join(path),
            limit: "memory.limit_in_bytes",
            sockets: "memory.kmem.tcp.usage_in_bytes",
        });
    }
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(Group {
        folder: Path::new(CONTROL_GROUPS).join(path),
        limit: "memory.max",
        sockets: "memory.stat",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn others_are_killed_only_if_it_was_not_enough_or_more_is_used() {
        let at = Instant::now();
        let kill = Kill {
            at,
            resident: 490 * MIB,
        };
        let is_over = |resident, after: u64| {
            kill.is_over(resident, 512 * MIB, at + Duration::from_millis(after))
        };
        assert!(!is_over(490 * MIB, 10));
        assert!(!is_over(300 * MIB, 10));
        assert!(!is_over(494 * MIB, 10));
        assert!(is_over(496 * MIB, 10));
        assert!(!is_over(490 * MIB, 299));
        assert!(is_over(490 * MIB, 300));
    }

    #[test]
    fn a_meter_tells_again_and_again_what_the_program_takes() {
        let Some(meter) = Meter::new() else { return };
        let before = meter.resident();
        let kept = vec![1_u8; 64 << 20];
        let after = meter.resident();
        drop(kept);
        assert!(before.is_some_and(|before| before > MIB));
        assert!(after > before);
    }

    #[test]
    fn what_sockets_take_is_read_in_both_versions_of_control_groups() {
        assert_eq!(socket_bytes("8192\n"), Some(8192));
        let version_2 = "anon 100\nkernel 50\nsock 4096\nshmem 7\n";
        assert_eq!(socket_bytes(version_2), Some(4096));
        assert_eq!(socket_bytes("anon 100\n"), None);
    }

    #[test]
    fn far_below_the_limit_nothing_is_done_and_nobody_looks_often() {
        let verdict = judge(100 * MIB, 0, 4096 * MIB, false);
        assert!(!verdict.refuse && !verdict.kill);
        assert_eq!(verdict.pause, Duration::from_millis(500));
        assert_eq!(verdict.left, (4096 * MIB) / 10 * 9 - 100 * MIB);
        assert_eq!(verdict.largest, (4096 * MIB) / 20 * 19 - 100 * MIB);
    }

    #[test]
    fn shortly_below_the_limit_memory_is_refused_until_a_tenth_is_free() {
        assert!(judge(470 * MIB, 0, 512 * MIB, false).refuse);
        assert!(!judge(450 * MIB, 0, 512 * MIB, false).refuse);
        assert!(judge(450 * MIB, 0, 512 * MIB, true).refuse);
        assert!(!judge(430 * MIB, 0, 512 * MIB, true).refuse);
        assert!(!judge(470 * MIB, 0, 512 * MIB, false).kill);
        // What is charged may be more than what is taken, and is no reason to kill anybody.
        let charged = judge(100 * MIB, 500 * MIB, 512 * MIB, false);
        assert!(charged.refuse && !charged.kill && !charged.give_back);
        assert_eq!(charged.pause, Duration::from_millis(20));
        assert_eq!(charged.left, 512 * MIB / 10 * 9 - 100 * MIB);
    }

    #[test]
    fn so_shortly_below_the_limit_that_it_would_be_exceeded_processes_are_killed() {
        let verdict = judge(490 * MIB, 0, 512 * MIB, true);
        assert!(verdict.refuse && verdict.kill);
        assert_eq!(verdict.pause, Duration::from_millis(1));
    }

    #[test]
    fn the_group_that_limits_memory_is_found_in_both_versions_of_control_groups() {
        let version_2 = "0::/user.slice/session\n";
        let group = limiting_group(version_2).expect("a group");
        let folder = PathBuf::from("/sys/fs/cgroup/user.slice/session");
        assert_eq!((group.folder, group.limit), (folder, "memory.max"));

        let both = "9:pids:/\n4:cpu,memory:/docker/a:b\n0::/docker/a:b\n";
        let group = limiting_group(both).expect("a group");
        let folder = PathBuf::from("/sys/fs/cgroup/memory/docker/a:b");
        assert_eq!(
            (group.folder, group.limit),
            (folder, "memory.limit_in_bytes")
        );

        assert_eq!(limiting_group("3:pids:/\n"), None);
    }
}
