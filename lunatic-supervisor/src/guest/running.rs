//! Running supervisors (ABI §23.3).

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::future::Future;

use lunatic_abi::{Guest, Misuse, TIMED_OUT, Timeout, host_functions, params};
use lunatic_mailbox::{Pid, Tag};
use lunatic_process::guest::{check_right_to_signal, check_right_to_spawn};
use lunatic_process::{ExitReason, SpawnLink};
use wasmtime::{Caller, Result, Val};

use crate::core::RequestError;
use crate::guest::child::WasmChild;
use crate::guest::{SupervisorHost, reading, specs};
use crate::start::ChildStart;
use crate::supervisor::{ChildId, StartedChild, Supervisor};

host_functions! {
    pub(super) fn add_to_linker<T: SupervisorHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "lunatic::supervisor" {
        async fn start(spec_id: u64, tag: i64, id_ptr: u32) -> u32;
        async fn start_child(supervisor: u64, child_ptr: u32, id_ptr: u32) -> u32;
        async fn start_from_template(
            supervisor: u64, params_ptr: u32, params_len: u32, id_ptr: u32
        ) -> u32;
        async fn restart_child(
            supervisor: u64, name_ptr: u32, name_len: u32, id_ptr: u32
        ) -> u32;
        async fn terminate_child(
            supervisor: u64, name_ptr: u32, name_len: u32, id_ptr: u32
        ) -> u32;
        async fn terminate_process(supervisor: u64, process_id: u64, id_ptr: u32) -> u32;
        async fn delete_child(
            supervisor: u64, name_ptr: u32, name_len: u32, id_ptr: u32
        ) -> u32;
        fn stop(supervisor: u64);
        async fn wait(process_id: u64, timeout: u64, id_ptr: u32) -> u32;
    }
}

/// Why a request to a supervisor was not done.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// There is no supervisor with this process id.
    NoSupervisor(u64),
    /// The supervisor is outside of the caller's branch, and the caller has no right to
    /// signal processes there.
    Denied(u64),
    /// The children of the supervisor do not have the limits of the caller.
    Outside(u64),
    /// The supervisor has refused it.
    Refused(RequestError),
}

/// `lunatic::supervisor::start` (ABI §23.3): starts a supervisor that is
/// linked to the caller, and waits until all its children are started. Returns 0
/// with its process id, or 1 with an error id, at `id_ptr`.
///
/// - `tag`: the tag of the message that the caller gets when the supervisor dies; 0 for none.
///
/// Traps without the right to spawn, on an unknown id and a bad address.
async fn start<T: SupervisorHost>(
    mut caller: Caller<'_, T>,
    spec_id: u64,
    tag: i64,
    id_ptr: u32,
) -> Result<u32> {
    check_right_to_spawn(caller.data())?;
    caller.check_id_ptr(id_ptr)?;
    let spec = specs::spec_mut(&mut caller, spec_id)?.clone();
    let parent = caller.data().process().handle().clone();
    let environment = parent.environment().clone();
    let link = SpawnLink {
        parent,
        tag: Tag::new(tag),
    };
    let started = caller.wait(spec.start(&environment, Some(link))).await;
    let started = started.map(|supervisor| supervisor.process().id().to_bits());
    caller.answer_id(id_ptr, started)
}

/// `lunatic::supervisor::start_child` (ABI §23.3): adds a wasm child and
/// starts it. Returns 0 with its process id, or 1 with an error id, at `id_ptr`.
///
/// - `child_ptr`: the address of a child record.
///
/// The child has the account of the supervisor, so that must be the caller's, or below it.
///
/// Traps without the right to spawn, and as `add_child` does.
async fn start_child<T: SupervisorHost>(
    mut caller: Caller<'_, T>,
    supervisor: u64,
    child_ptr: u32,
    id_ptr: u32,
) -> Result<u32> {
    check_right_to_spawn(caller.data())?;
    caller.check_id_ptr(id_ptr)?;
    let child = reading::child(&mut caller, child_ptr)?;
    let account = caller.data().account().clone();
    let found = find(&caller, supervisor);
    let found = found.and_then(
        |found| match found.process().account().is_within(&account) {
            true => Ok(found),
            false => Err(Unanswered::Outside(supervisor)),
        },
    );
    let started = match found {
        Ok(found) => {
            let started = caller.wait(found.start_child(child)).await;
            started.map_err(Unanswered::Refused)
        }
        Err(error) => Err(error),
    };
    caller.answer_id(id_ptr, started.map(process_id))
}

/// `lunatic::supervisor::start_from_template` (ABI §23.3): starts another
/// child from the template, with these arguments after its own. Returns 0 with
/// its process id, or 1 with an error id, at `id_ptr`.
///
/// Traps without the right to spawn, on a bad address and bad records.
async fn start_from_template<T: SupervisorHost>(
    mut caller: Caller<'_, T>,
    supervisor: u64,
    params_ptr: u32,
    params_len: u32,
    id_ptr: u32,
) -> Result<u32> {
    check_right_to_spawn(caller.data())?;
    caller.check_id_ptr(id_ptr)?;
    let params = params::parse(caller.bytes(params_ptr, params_len)?)?;
    let request = |supervisor: Supervisor| async move {
        if params.is_empty() {
            return supervisor.start_from_template().await;
        }
        let bytes = params.capacity() * size_of::<Val>();
        let with_params = move |template: &ChildStart| add_params::<T>(template, &params);
        supervisor.start_like_template(bytes, with_params).await
    };
    let started = ask(&mut caller, supervisor, request).await;
    caller.answer_id(id_ptr, started.map(process_id))
}

/// `lunatic::supervisor::restart_child` (ABI §23.3): starts a child that is
/// stopped. Returns 0 with its process id, or 1 with an error id, at `id_ptr`.
///
/// Traps without the right to spawn, on a bad address and text that is not UTF-8.
async fn restart_child<T: SupervisorHost>(
    mut caller: Caller<'_, T>,
    supervisor: u64,
    name_ptr: u32,
    name_len: u32,
    id_ptr: u32,
) -> Result<u32> {
    check_right_to_spawn(caller.data())?;
    caller.check_id_ptr(id_ptr)?;
    let name = reading::name(&mut caller, name_ptr, name_len)?;
    let request = |supervisor: Supervisor| async move { supervisor.restart_child(name).await };
    let started = ask(&mut caller, supervisor, request).await;
    caller.answer_id(id_ptr, started.map(process_id))
}

/// `lunatic::supervisor::terminate_child` (ABI §23.3): stops a child and
/// waits for its end. Returns 0, or 1 with an error id at `id_ptr`.
///
/// Traps on a bad address and text that is not UTF-8.
async fn terminate_child<T: SupervisorHost>(
    mut caller: Caller<'_, T>,
    supervisor: u64,
    name_ptr: u32,
    name_len: u32,
    id_ptr: u32,
) -> Result<u32> {
    caller.check_id_ptr(id_ptr)?;
    let name = reading::name(&mut caller, name_ptr, name_len)?;
    terminate(caller, supervisor, name.into(), id_ptr).await
}

/// `lunatic::supervisor::terminate_process` (ABI §23.3): the same for the
/// child that is this process.
///
/// Traps on a bad address.
async fn terminate_process<T: SupervisorHost>(
    mut caller: Caller<'_, T>,
    supervisor: u64,
    process_id: u64,
    id_ptr: u32,
) -> Result<u32> {
    caller.check_id_ptr(id_ptr)?;
    terminate(
        caller,
        supervisor,
        Pid::from_bits(process_id).into(),
        id_ptr,
    )
    .await
}

async fn terminate<T: SupervisorHost>(
    mut caller: Caller<'_, T>,
    supervisor: u64,
    child: ChildId,
    id_ptr: u32,
) -> Result<u32> {
    let request = |supervisor: Supervisor| async move { supervisor.terminate_child(child).await };
    let terminated = ask(&mut caller, supervisor, request).await;
    caller.answer(id_ptr, terminated)
}

/// `lunatic::supervisor::delete_child` (ABI §23.3): removes a child that is
/// stopped. Returns 0, or 1 with an error id at `id_ptr`.
///
/// Traps on a bad address and text that is not UTF-8.
async fn delete_child<T: SupervisorHost>(
    mut caller: Caller<'_, T>,
    supervisor: u64,
    name_ptr: u32,
    name_len: u32,
    id_ptr: u32,
) -> Result<u32> {
    caller.check_id_ptr(id_ptr)?;
    let name = reading::name(&mut caller, name_ptr, name_len)?;
    let request = |supervisor: Supervisor| async move { supervisor.delete_child(name).await };
    let deleted = ask(&mut caller, supervisor, request).await;
    caller.answer(id_ptr, deleted)
}

/// `lunatic::supervisor::stop` (ABI §23.3): asks a supervisor to stop its
/// children, the last first, and to end normally. Nothing happens if there is
/// none.
///
/// Traps if the account of the caller has no memory left for the request.
fn stop<T: SupervisorHost>(caller: Caller<'_, T>, supervisor: u64) -> Result<()> {
    let found = find(&caller, supervisor).ok();
    match found.map(|supervisor| supervisor.request_stop()) {
        Some(Err(RequestError::Exceeded(exceeded))) => Err(Misuse::Exceeded(exceeded).into()),
        _ => Ok(()),
    }
}

/// `lunatic::supervisor::wait` (ABI §23.3): waits until a process has ended
/// and returns how: 0 normally, 1 by a failure with its error id at `id_ptr`, 2
/// killed, 3 shut down, 4 if there is no such process, 5 if its node cannot be
/// reached, 9027 if it still lives.
///
/// - `timeout`: milliseconds; -1 for ever.
///
/// Traps on a bad address, and without the right to signal that process.
async fn wait<T: SupervisorHost>(
    mut caller: Caller<'_, T>,
    process_id: u64,
    timeout: u64,
    id_ptr: u32,
) -> Result<u32> {
    caller.check_id_ptr(id_ptr)?;
    let environment = caller.data().process().handle().environment();
    let process_id = Pid::from_bits(process_id);
    if !environment.is_local(process_id) {
        return Ok(NO_CONNECTION);
    }
    let Some(process) = environment.process(process_id) else {
        return Ok(NO_PROCESS);
    };
    check_right_to_signal(caller.data(), process_id)?;
    let ended = Timeout::from_millis(timeout).limit(process.wait());
    match caller.wait(ended).await {
        None => Ok(TIMED_OUT),
        Some(ExitReason::Normal) => Ok(NORMAL),
        Some(ExitReason::Failed(failure)) => caller.report(id_ptr, &EndedBy(failure.to_string())),
        Some(ExitReason::Killed) => Ok(KILLED),
        Some(ExitReason::Shutdown) => Ok(SHUTDOWN),
        Some(ExitReason::NoConnection) => Ok(NO_CONNECTION),
        Some(_) => Ok(NO_PROCESS),
    }
}

const NORMAL: u32 = 0;
const KILLED: u32 = 2;
const SHUTDOWN: u32 = 3;
const NO_PROCESS: u32 = 4;
const NO_CONNECTION: u32 = 5;

/// A failure, as text with all its causes.
#[derive(Debug)]
struct EndedBy(String);

fn add_params<T: SupervisorHost>(
    template: &ChildStart,
    params: &[Val],
) -> Result<ChildStart, RequestError> {
    let template: &dyn Any = &**template;
    let child = template.downcast_ref::<WasmChild<T>>();
    let child = child.ok_or(RequestError::NoArguments)?;
    match child.param_count() + params.len() <= params::MAX_PARAMS {
        true => Ok(child.with_more_params(params).into_start()),
        false => Err(RequestError::NoArguments),
    }
}

fn process_id(child: StartedChild) -> u64 {
    child.process.id().to_bits()
}

/// Makes a request of a supervisor of the caller's environment, and waits for the
/// answer.
pub(super) async fn ask<T: SupervisorHost, R, F>(
    caller: &mut Caller<'_, T>,
    supervisor: u64,
    request: impl FnOnce(Supervisor) -> F,
) -> Result<R, Unanswered>
where
    F: Future<Output = Result<R, RequestError>> + Send,
{
    let found = find(caller, supervisor)?;
    caller
        .wait(request(found))
        .await
        .map_err(Unanswered::Refused)
}

/// Finds a supervisor that the caller may make requests of, and pays for.
fn find<T: SupervisorHost>(
    caller: &Caller<'_, T>,
    supervisor: u64,
) -> Result<Supervisor, Unanswered> {
    let environment = caller.data().process().handle().environment();
    let process = environment.process(Pid::from_bits(supervisor));
    let found = process.and_then(Supervisor::of);
    let found = found.ok_or(Unanswered::NoSupervisor(supervisor))?;
    check_right_to_signal(caller.data(), found.process().id())
        .map_err(|_| Unanswered::Denied(supervisor))?;
    Ok(found.paid_by(caller.data().account().clone()))
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unanswered::NoSupervisor(id) => {
                write!(f, "there is no supervisor with the process id {id}")
            }
            Unanswered::Denied(id) => write!(
                f,
                "permission denied: the supervisor with the process id {id} is outside of the \
                 branch of this process"
            ),
            Unanswered::Outside(id) => write!(
                f,
                "permission denied: children of the supervisor with the process id {id} are \
                 outside of the branch of this process"
            ),
            Unanswered::Refused(error) => error.fmt(f),
        }
    }
}

impl Error for Unanswered {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Unanswered::NoSupervisor(_) | Unanswered::Denied(_) | Unanswered::Outside(_) => None,
            Unanswered::Refused(error) => error.source(),
        }
    }
}

impl fmt::Display for EndedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for EndedBy {}
