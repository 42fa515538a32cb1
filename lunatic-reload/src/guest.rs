//! The namespace `lunatic::reload` (ABI §27).

mod permitted;

use std::error::Error;
use std::fmt;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_lite::future;
use lunatic_abi::{Guest, Misuse, host_functions};
use lunatic_account::{Charge, Kind};
use lunatic_engine::Module;
use lunatic_error::on_one_line;
use lunatic_mailbox::{DataMessage, Message, SharedCopy};
use lunatic_process::Failure;
use lunatic_process::guest::exchange::{self, Attempt, Refused};
use lunatic_process::guest::{Config, ProcessHost};
use wasmtime::{Caller, Result};

pub use crate::guest::permitted::check_permitted;

use crate::entries::Entries;
use crate::error::NotWanted;
use crate::member::{Member, Target};
use crate::version::Version;
use crate::versions::Versions;

/// What the state of a process offers to `lunatic::reload`.
pub trait ReloadHost: ProcessHost {
    /// The versions of all modules that have a name.
    fn versions(&self) -> &Versions<Module<Self>>;

    /// The part of the state that belongs to this crate.
    fn reload(&mut self) -> &mut GuestReload<Self>;
}

/// What a process has offered, and what it is doing about it. A process that does not
/// take part in reloads has allocated nothing here.
pub struct GuestReload<T: ReloadHost>(Option<Box<Part<T>>>);

struct Part<T: ReloadHost> {
    member: Option<Arc<Member<Module<T>>>>,
    /// What is charged for being a member.
    charge: Option<Charge>,
    /// Whether the next wait ends early when the process is wanted.
    is_armed: bool,
    /// Whether the wait that the process is in ends early because of that.
    is_interrupted: AtomicBool,
    /// Whether the last wait has, and the process has not asked why yet.
    was_interrupted: bool,
    /// While this instance hands over: to which version, and since when.
    hand_over: Option<HandOver>,
    /// While this instance has not taken over yet.
    arrival: Option<(Arc<Member<Module<T>>>, HandOver)>,
}

/// The membership of a process that is wanted, and where it is to move.
type Wanted<T> = (Arc<Member<Module<T>>>, Target<Module<T>>);

#[derive(Debug, Clone, Copy)]
struct HandOver {
    target: [u8; 32],
    began: Instant,
}

host_functions! {
    /// Registers `lunatic::reload`.
    pub fn add_to_linker<T: ReloadHost>(Linker<T>);
    /// The functions of `lunatic::reload`.
    pub const HOST_FUNCTIONS;

    in "lunatic::reload" {
        fn offer(kind_ptr: u32, kind_len: u32, version: i64);
        fn arm() -> i64;
        async fn hand_over(version: i64, id_ptr: u32) -> i32;
        async fn accept();
        fn refuse(text_ptr: u32, text_len: u32);
    }
}

/// The longest name of a kind, in bytes.
const MAX_KIND_BYTES: usize = 256;

/// The longest text of a refusal, in bytes.
const MAX_TEXT_BYTES: usize = 1024;

/// How long an instance may take until it has taken over.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// What [`arm`] returns if the process is not wanted.
const NOT_WANTED: i64 = -1;

/// What the account of a process is charged for offering itself, in bytes.
const MEMBER_BYTES: u64 = 1024;

/// `lunatic::reload::offer` (ABI §27): the caller is of this kind and writes its state in
/// this version. An empty kind: it offers itself no longer.
///
/// Traps on a bad address, a kind that is not UTF-8 or has more than 256 bytes, a
/// negative version, and if the account of the caller has no memory left.
fn offer<T: ReloadHost>(
    mut caller: Caller<'_, T>,
    kind_ptr: u32,
    kind_len: u32,
    version: i64,
) -> Result<()> {
    let kind = caller.text_within(kind_ptr, kind_len, MAX_KIND_BYTES)?;
    let kind: Arc<str> = kind.into();
    if version < 0 {
        return Err(Misuse::refused("the version of a state is not negative").into());
    }
    let offered = (!kind.is_empty()).then_some((kind, version));
    if let Some(member) = member(&mut caller)? {
        member.offer(offered);
    }
    Ok(())
}

/// `lunatic::reload::arm` (ABI §27): the version in which the caller is to write its state
/// if it is wanted now; else -1, and the caller's next wait ends early if it is wanted
/// meanwhile. If the wait before has ended early and the caller is not wanted any more, the
/// version that it offers, as its wait has not failed: `hand_over` returns 0 then.
fn arm<T: ReloadHost>(mut caller: Caller<'_, T>) -> i64 {
    let Some(part) = &mut caller.data_mut().reload().0 else {
        return NOT_WANTED;
    };
    let target = part.member.as_ref().and_then(|member| {
        let target = member.target();
        member.set_moving(target.is_some());
        target
    });
    let was_interrupted = mem::take(&mut part.was_interrupted);
    let offered = match &part.member {
        Some(member) if was_interrupted => member.offered_version(),
        _ => None,
    };
    match (target, offered) {
        (Some(target), _) => target.state_version,
        (None, Some(offered)) => offered,
        (None, None) => {
            part.is_armed = true;
            NOT_WANTED
        }
    }
}

/// `lunatic::reload::hand_over` (ABI §27): lets the current version take over, with the
/// message in scratch as the state. Does not return if it does. Returns 0 if the caller is
/// not wanted, or there is no room for an error, or 1 with an error id at `id_ptr`; all is as it
/// was before then.
///
/// Traps without a data message in scratch, inside of `trap::catch`, and on a bad `id_ptr`.
async fn hand_over<T: ReloadHost>(
    mut caller: Caller<'_, T>,
    version: i64,
    id_ptr: u32,
) -> Result<i32> {
    const TAKEN_BY_NOBODY: i32 = 0;
    caller.check_id_ptr(id_ptr)?;
    let state = caller.data_mut();
    if state.process().incarnation().open_calls() > 0 {
        return Err(Misuse::refused("a process cannot hand over inside of a catch").into());
    }
    state.mailbox().data()?;
    let has_started = state.process().incarnation().has_started();
    let began = Instant::now();
    let Some((member, target)) = state.reload().wanted() else {
        return Ok(TAKEN_BY_NOBODY);
    };
    if member.begins(&target.version.hash).is_err() {
        return Ok(TAKEN_BY_NOBODY);
    }
    let failure = match has_started {
        true => match prepare(&mut caller, &target, version, began).await? {
            Ok(attempt) => {
                let why = || (!member.is_wanted()).then(|| Failure::new(NotWanted));
                exchange::attempt(&mut caller, attempt, why).await?
            }
            Err(failure) => failure,
        },
        false => Failure::new("a process cannot hand over in its start function"),
    };
    caller.data_mut().reload().part().hand_over = None;
    let why = on_one_line(&failure, MAX_TEXT_BYTES).to_string();
    member.failed(&target.version.hash, why.clone());
    // Without room for the error, all is as it was nevertheless.
    let reported = caller.report(id_ptr, &NotTakenOver(why));
    Ok(reported.map_or(TAKEN_BY_NOBODY, u32::cast_signed))
}

/// The error of a process whose code was not exchanged.
#[derive(Debug)]
struct NotTakenOver(String);

impl fmt::Display for NotTakenOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the new version has not taken over: {}", self.0)
    }
}

impl Error for NotTakenOver {}

/// `lunatic::reload::accept` (ABI §27): the caller, which runs in an entry, is the process
/// from now on.
///
/// Traps elsewhere, in a start function, and if the process is not wanted any more.
async fn accept<T: ReloadHost>(mut caller: Caller<'_, T>) -> Result<()> {
    if !caller.data().process().incarnation().has_started() {
        return Err(Misuse::refused("a start function cannot accept").into());
    }
    let arrival = caller.data_mut().reload().part().arrival.take();
    let Some((member, hand_over)) = arrival else {
        return Err(Misuse::refused("only an entry that has not accepted yet can accept").into());
    };
    member
        .accepts(&hand_over.target)
        .map_err(|error| Misuse::refused(error.to_string()))?;
    exchange::take_over(&mut caller).await;
    member.moved(hand_over.began.elapsed());
    Ok(())
}

/// `lunatic::reload::refuse` (ABI §27): ends the attempt, in an entry that has not
/// accepted; in a process that is wanted, declines. The text says why. Does nothing
/// elsewhere.
///
/// Traps on a bad address, and on a text that is not UTF-8 or has more than 1024 bytes;
/// and, in an entry, with the text.
fn refuse<T: ReloadHost>(mut caller: Caller<'_, T>, text_ptr: u32, text_len: u32) -> Result<()> {
    let text = caller
        .text_within(text_ptr, text_len, MAX_TEXT_BYTES)?
        .to_owned();
    if caller.data().process().incarnation().is_attempt() {
        return Err(wasmtime::Error::new(Refused(text)));
    }
    let reload = caller.data_mut().reload();
    if let Some((member, _)) = reload.wanted() {
        member.declined(on_one_line(&text, MAX_TEXT_BYTES).to_string());
    }
    Ok(())
}

/// The caller's membership, which begins with its first offer; `None` if its module has no
/// name.
fn member<T: ReloadHost>(caller: &mut Caller<'_, T>) -> Result<Option<Arc<Member<Module<T>>>>> {
    let state = caller.data_mut();
    if let Some(member) = state.reload().part().member.clone() {
        return Ok(Some(member));
    }
    let process = state.process().handle().clone();
    let module = state.process().incarnation().module().clone();
    let Some(name) = module.version_of() else {
        return Ok(None);
    };
    let charge = Charge::new(process.account(), Kind::Memory, MEMBER_BYTES);
    let charge = charge.map_err(Misuse::Exceeded)?;
    let member = state
        .versions()
        .join(&process, name, *module.hash().as_bytes());
    let part = state.reload().part();
    part.member = member.clone();
    part.charge = Some(charge);
    Ok(member)
}

/// What the new instance starts with; or why there is none.
async fn prepare<T: ReloadHost>(
    caller: &mut Caller<'_, T>,
    target: &Target<Module<T>>,
    version: i64,
    began: Instant,
) -> Result<Result<Attempt<T>, Failure>> {
    let module = target.version.module.clone();
    if !target.version.entries.has(&target.kind, version) {
        let export = Entries::export(&target.kind, version);
        return Ok(Err(Failure::new(format!(
            "the new version exports no function `{export}`"
        ))));
    }
    // To compile it takes none of the time that the new instance has.
    let config = caller.data().process().config().process();
    let prepared = match config.max_fuel {
        Some(_) => caller.wait(module.prepare_budgets()).await,
        None => caller.wait(module.prepare_next()).await,
    };
    if let Err(error) = prepared {
        return Ok(Err(Failure::new(error)));
    }
    let state = match copy(caller).await? {
        Ok(message) => message,
        Err(failure) => return Ok(Err(failure)),
    };
    caller.data_mut().reload().part().hand_over = Some(HandOver {
        target: target.version.hash,
        began,
    });
    Ok(Ok(Attempt {
        module,
        export: Entries::export(&target.kind, version),
        state: Message::Data(state),
        time_limit: TIME_LIMIT,
    }))
}

/// A copy of the message in scratch, or why there is none. It is made in pieces, between
/// which others run.
async fn copy<T: ReloadHost>(caller: &mut Caller<'_, T>) -> Result<Result<DataMessage, Failure>> {
    let account = caller.data().process().handle().account().clone();
    let message = caller.data_mut().mailbox().data()?;
    // The scratch area of the new instance is charged with the same when it gets the copy.
    let charge = Charge::new(&account, Kind::Memory, message.size() as u64);
    if let Err(exceeded) = charge {
        return Ok(Err(Failure::new(exceeded)));
    }
    let mut copy = SharedCopy::of(message);
    loop {
        match copy.advance(caller.data_mut().mailbox().data()?) {
            Ok(true) => return Ok(Ok(copy.into_message())),
            Ok(false) => caller.wait(future::yield_now()).await,
            Err(not_shared) => return Ok(Err(Failure::new(not_shared))),
        }
    }
}

impl<T: ReloadHost> GuestReload<T> {
    /// Returns the state of a new process, which has offered nothing.
    pub fn new() -> GuestReload<T> {
        GuestReload(None)
    }

    /// Returns the state of a new instance to which this one hands over.
    pub fn successor(&self) -> GuestReload<T> {
        let part = self.0.as_ref();
        let arrival = part.and_then(|part| part.member.clone().zip(part.hand_over));
        let mut successor = GuestReload::new();
        successor.part().arrival = arrival;
        successor
    }

    /// Takes over from an older instance of the process.
    pub fn join(&mut self, older: GuestReload<T>) {
        if let Some(older) = older.0 {
            let own = self.part();
            own.member = older.member;
            own.charge = older.charge;
        }
    }

    /// Returns whether the wait that the process is in has to end early.
    #[inline]
    pub fn is_interrupted(&self) -> bool {
        let Some(part) = &self.0 else {
            return false;
        };
        let is_interrupted = part.is_armed && part.is_wanted();
        if is_interrupted {
            part.is_interrupted.store(true, Ordering::Relaxed);
        }
        is_interrupted
    }

    /// A wait is over that could have been interrupted: the next one is not, unless the
    /// process asks for it again.
    #[inline]
    pub fn end_interruptible(&mut self) {
        if let Some(part) = &mut self.0 {
            part.is_armed = false;
            part.was_interrupted = mem::take(part.is_interrupted.get_mut());
        }
    }

    fn part(&mut self) -> &mut Part<T> {
        self.0.get_or_insert_with(|| {
            Box::new(Part {
                member: None,
                charge: None,
                is_armed: false,
                is_interrupted: AtomicBool::new(false),
                was_interrupted: false,
                hand_over: None,
                arrival: None,
            })
        })
    }

    fn wanted(&self) -> Option<Wanted<T>> {
        let member = self.0.as_ref()?.member.clone()?;
        let target = member.target()?;
        Some((member, target))
    }
}

impl<T: ReloadHost> Part<T> {
    fn is_wanted(&self) -> bool {
        self.member
            .as_ref()
            .is_some_and(|member| member.is_wanted())
    }
}

impl<T: ReloadHost> Versions<Module<T>> {
    /// The current version of the module that a module is a version of; the module itself,
    /// if it is none.
    pub fn current_of(&self, module: &Module<T>) -> Module<T> {
        let current = module.version_of().and_then(|name| self.current(name));
        current.map_or_else(|| module.clone(), |version| version.module)
    }
}

impl<T: ReloadHost> Version<Module<T>> {
    /// Returns a module as a version.
    pub fn of(module: &Module<T>) -> Version<Module<T>> {
        let exports = module.exported_functions();
        let plain = exports.filter_map(|(name, is_plain)| is_plain.then_some(name));
        Version {
            hash: *module.hash().as_bytes(),
            entries: Arc::new(Entries::of(plain)),
            module: module.clone(),
        }
    }
}

impl<T: ReloadHost> Default for GuestReload<T> {
    fn default() -> GuestReload<T> {
        GuestReload::new()
    }
}

impl<T: ReloadHost> fmt::Debug for GuestReload<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("GuestReload"),
            Some(part) => f
                .debug_struct("GuestReload")
                .field("member", &part.member)
                .field("is_armed", &part.is_armed)
                .finish_non_exhaustive(),
        }
    }
}
