//! Starts programs, and makes their failure an error that names them.

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The variables that `cargo run` sets for xtask. They are wrong for the programs that xtask
/// starts, and the test runner interprets `CARGO_MANIFEST_DIR`.
const ABOUT_XTASK: [&str; 6] = [
    "CARGO_BIN_NAME",
    "CARGO_CRATE_NAME",
    "CARGO_MANIFEST_",
    "CARGO_PKG_",
    "CARGO_PRIMARY_PACKAGE",
    "OUT_DIR",
];

/// How often a program with a time limit is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A command that runs `program`, with the environment xtask was started in.
pub(crate) fn new(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    remove_inherited(&mut command, &ABOUT_XTASK);
    command
}

/// Takes every variable that starts with one of `prefixes` out of `command`'s
/// environment.
pub(crate) fn remove_inherited(command: &mut Command, prefixes: &[&str]) {
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        if prefixes.iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(&*name);
        }
    }
}

/// Runs `command` on xtask's own terminal.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = status(command)?;
    check(command, status)
}

/// Runs `command` on xtask's own terminal and returns its exit code, or that of a
/// failure if it was killed.
pub(crate) fn exit_code(command: &mut Command) -> Result<ExitCode> {
    Ok(status(command)?
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
}

fn status(command: &mut Command) -> Result<ExitStatus> {
    command.status().with_context(|| cannot_start(command))
}

/// Runs `command` and returns what it wrote to its standard output.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| cannot_start(command))?;
    if let Err(error) = check(command, output.status) {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{error}\n{}", said.trim());
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("{} printed something else than text", name(command)))
}

/// Runs `command`, and shows and hands over each line it writes.
pub(crate) fn watch(command: &mut Command, mut each_line: impl FnMut(&str)) -> Result<()> {
    let mut child = spawn_piped(command)?;
    let (sender, lines) = mpsc::channel();
    let readers = [
        child
            .stdout
            .take()
            .map(|pipe| send_lines(pipe, sender.clone())),
        child.stderr.take().map(|pipe| send_lines(pipe, sender)),
    ];
    for line in lines {
        println!("{line}");
        each_line(&line);
    }
    for reader in readers.into_iter().flatten() {
        join(reader);
    }
    let status = child.wait().with_context(|| cannot_start(command))?;
    check(command, status)
}

/// How a program with a time limit ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The exit code, or none if the program was killed.
    pub(crate) code: Option<i32>,
    /// Whether xtask killed it because its time was up.
    pub(crate) timed_out: bool,
    /// The text of its standard output.
    pub(crate) stdout: String,
    /// The text of its standard error.
    pub(crate) stderr: String,
}

/// Runs `command` for no longer than `limit` and returns what it wrote.
pub(crate) fn run_for(command: &mut Command, limit: Duration) -> Result<Outcome> {
    let mut child = spawn_piped(command)?;
    let stdout = child.stdout.take().map(collect);
    let stderr = child.stderr.take().map(collect);
    let status = wait_for(&mut child, limit).with_context(|| cannot_start(command))?;
    Ok(Outcome {
        code: status.and_then(|status| status.code()),
        timed_out: status.is_none(),
        stdout: stdout.map(join).unwrap_or_default(),
        stderr: stderr.map(join).unwrap_or_default(),
    })
}

/// Waits for `child`, and kills it and returns none if that takes too long.
fn wait_for(child: &mut Child, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(POLL_INTERVAL);
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

fn spawn_piped(command: &mut Command) -> Result<Child> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| cannot_start(command))
}

fn collect(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // A pipe that breaks ends the text; how the program ended says more.
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn send_lines(pipe: impl Read + Send + 'static, lines: Sender<String>) -> JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            // The receiver lives until both pipes are closed.
            let _ = lines.send(String::from_utf8_lossy(&line).into_owned());
        }
    })
}

fn join<T>(thread: JoinHandle<T>) -> T {
    thread
        .join()
        .expect("a thread that reads a pipe doesn't panic")
}

fn check(command: &Command, status: ExitStatus) -> Result<()> {
    if status.success() {
        Ok(())
    } else {
        bail!("`{}` failed ({status})", line(command))
    }
}

fn cannot_start(command: &Command) -> String {
    format!("cannot start `{}`; is it installed?", name(command))
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

/// The command as one would type it.
fn line(command: &Command) -> String {
    let mut line = name(command);
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}
