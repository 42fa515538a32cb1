//! Examples that use public servers, in namespaces where the names of these servers lead to this
//! machine.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::super::{Runner, TIME_LIMIT, ending};
use super::Verdict;
use crate::command::{self, Outcome};
use crate::workspace;

/// The names that examples look up.
const HOSTS: &str = "127.0.0.1 localhost google.com www.rust-lang.org wikipedia.org\n";

/// Why what asks public servers is not run.
pub(crate) const NEEDED: &str = "needs public DNS, or namespaces (`unshare`, `ip`) and `openssl`";

/// Has loopback, and `/etc/hosts` from the first argument; runs the rest.
const SET_UP: &str = r#"ip link set lo up && mount --bind "$1" /etc/hosts && shift && exec "$@""#;

/// Serves pages at a port, the first argument, with the certificate and key of a
/// folder, the second one, until the rest of the arguments has run in another
/// folder, the third one.
const WITH_SERVER: &str = r#"
    cd "$2"
    openssl s_server -accept "127.0.0.1:$1" -www -cert certificate.pem -key key.pem \
        > server.log 2>&1 &
    until grep -q ACCEPT server.log || ! kill -0 $!; do sleep 0.1; done
    cd "$3" && shift 3 && "$@""#;

/// `resolve` looks `wikipedia.org` up.
pub(super) fn resolve(runner: &Runner, program: &Path) -> Result<Verdict> {
    let Some(mut command) = namespaced()? else {
        return Ok(Verdict::NotRun(NEEDED.to_owned()));
    };
    command.arg(&runner.lunatic).arg("run").arg(program);
    let outcome = command::run_for(runner.settle(&mut command), TIME_LIMIT)?;
    let expected = "wikipedia.org resolves to 127.0.0.1:80";
    Ok(Verdict::Ran(problems(&outcome, expected)))
}

/// `tls_client` asks `www.rust-lang.org` for a page, and trusts whom the system
/// trusts.
pub(super) fn tls_client(runner: &Runner, program: &Path) -> Result<Verdict> {
    Ok(match run_with_server(runner, 443, program, &[])? {
        None => Verdict::NotRun(NEEDED.to_owned()),
        Some(outcome) => {
            let expected = "Got response from rust-lang.org Ok(\"HTTP/1.0 200 ok";
            Verdict::Ran(problems(&outcome, expected))
        }
    })
}

/// Runs a program that connects to a public server, which is one of this machine
/// that listens at `port`; none if this machine cannot do that.
pub(crate) fn run_with_server(
    runner: &Runner,
    port: u16,
    program: &Path,
    arguments: &[&str],
) -> Result<Option<Outcome>> {
    let folder = folder()?;
    let Some(mut command) = namespaced()? else {
        return Ok(None);
    };
    if make_certificate(&folder).is_err() {
        return Ok(None);
    }
    command
        .args(["sh", "-c", WITH_SERVER, "sh"])
        .arg(port.to_string())
        .args([&folder, &runner.package])
        .arg(&runner.lunatic)
        .arg("run")
        .arg(program)
        .args(arguments)
        .env("SSL_CERT_FILE", folder.join("certificate.pem"));
    command::run_for(runner.settle(&mut command), TIME_LIMIT).map(Some)
}

/// A command that runs its arguments in namespaces of their own, with all
/// processes in them ended with the first; none if this machine has none for us.
fn namespaced() -> Result<Option<std::process::Command>> {
    let hosts = folder()?.join("hosts");
    fs::write(&hosts, HOSTS)?;
    let new = || {
        let mut unshare = command::new("unshare");
        unshare
            .args(["--map-root-user", "--mount", "--net", "--pid", "--fork"])
            .args(["--kill-child", "sh", "-c", SET_UP, "sh"])
            .arg(&hosts);
        unshare
    };
    let works = command::capture(new().arg("true")).is_ok();
    Ok(works.then(new))
}

fn make_certificate(folder: &Path) -> Result<()> {
    let mut openssl = command::new("openssl");
    openssl
        .current_dir(folder)
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt"])
        .args(["ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=www.rust-lang.org", "-addext"])
        .args(["subjectAltName=DNS:www.rust-lang.org", "-addext"])
        .args(["basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "key.pem", "-out", "certificate.pem"]);
    command::capture(&mut openssl).map(drop)
}

fn folder() -> Result<PathBuf> {
    let folder = workspace::target_dir().join("compat").join("network");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn problems(outcome: &Outcome, expected: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if outcome.code != Some(0) {
        let stderr = outcome.stderr.trim();
        problems.push(format!(
            "{} instead of exit code 0: {stderr}",
            ending(outcome)
        ));
    }
    if !outcome.stdout.contains(expected) {
        let stdout = &outcome.stdout;
        problems.push(format!("it prints {stdout:?} and no {expected:?}"));
    }
    problems
}
