//! Two nodes of Erlang.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use super::pair::{Nodes, Work};
use crate::place;
use crate::program::{self, Next, Running};

const SOURCE: &str = "bench/nodes.erl";
const MODULE: &str = "nodes";
const ONE: &str = "one@127.0.0.1";
const TWO: &str = "two@127.0.0.1";

/// Nodes of Erlang, plain or with TLS.
#[derive(Debug)]
pub(super) struct Erlang {
    with_tls: bool,
    place: Rc<Place>,
}

/// The common part of both kinds.
#[derive(Debug)]
struct Place {
    folder: TempDir,
    /// Where nodes find each other's ports; of ours alone.
    port: String,
    _epmd: Running,
}

impl Erlang {
    /// Both kinds; none, and it is said so, where Erlang is not installed.
    pub(super) fn prepare() -> Result<Vec<Erlang>> {
        let folder = tempfile::tempdir_in(place::folder("nodes")?)?;
        let mut erlc = Command::new("erlc");
        erlc.arg("-o").arg(folder.path());
        erlc.arg(place::root().join(SOURCE));
        if let Err(error) = program::capture(&mut erlc) {
            println!(
                "`erlc` does not work ({error:#}), so there is NO COMPARISON WITH ERLANG; \
                 on Debian it is in the package erlang-base"
            );
            return Ok(Vec::new());
        }
        let port = free_port()?.to_string();
        let mut epmd = Command::new("epmd");
        epmd.args(["-address", "127.0.0.1", "-port", &port]);
        let place = Place {
            _epmd: Running::start(&mut epmd)?,
            folder,
            port,
        };
        let place = Rc::new(place);
        let plain = Erlang {
            with_tls: false,
            place: place.clone(),
        };
        let mut all = vec![plain];
        match place.write_tls() {
            Ok(()) => all.push(Erlang {
                with_tls: true,
                place,
            }),
            Err(error) => println!("NO COMPARISON WITH ERLANG OVER TLS: {error:#}"),
        }
        Ok(all)
    }

    fn node(&self, name: &str) -> Command {
        let mut erl = Command::new("erl");
        erl.env("ERL_EPMD_PORT", &self.place.port)
            .env("HOME", self.place.folder.path())
            .args(["-noshell", "-name", name, "-setcookie", "bench"])
            .args(["-start_epmd", "false", "-kernel", "inet_dist_use_interface"])
            .args(["{127,0,0,1}", "-pa"])
            .arg(self.place.folder.path());
        if self.with_tls {
            erl.args(["-proto_dist", "inet_tls", "-ssl_dist_optfile"]);
            erl.arg(self.place.tls_options());
        }
        erl
    }
}

/// A port that is free now, and that no other program asks for soon.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

impl Nodes for Erlang {
    fn name(&self) -> String {
        match self.with_tls {
            true => "Erlang, TLS".to_owned(),
            false => "Erlang".to_owned(),
        }
    }

    fn start(&self, work: Option<Work>) -> Result<(Running, Running)> {
        let one = Running::start(&mut self.node(ONE))?;
        let is_idle = work.is_none();
        let work = work.unwrap_or(Work::new("idle", 0, 0));
        let mut two = self.node(TWO);
        two.args(["-run", MODULE, "main"]);
        two.args(work.arguments()).arg(ONE);
        let mut two = Running::start(&mut two)?;
        if is_idle {
            // It is connected.
            let said = two.next(Duration::from_secs(30))?;
            ensure!(matches!(said, Next::Line(_)), "it is not there: {said:?}");
        }
        Ok((one, two))
    }
}

impl Place {
    fn tls_options(&self) -> PathBuf {
        self.folder.path().join("tls.conf")
    }

    /// Writes a certificate for both nodes, and the configuration of Erlang for it.
    ///
    /// Fails where Erlang has no TLS, or nothing makes the certificate.
    fn write_tls(&self) -> Result<()> {
        let mut probe = Command::new("erl");
        let looks = "halt(case code:which(inet_tls_dist) of non_existing -> 1; _ -> 0 end).";
        probe.args(["-noshell", "-eval", looks]);
        program::capture(&mut probe).context("on Debian it is in the package erlang-ssl")?;
        let [key, certificate] = ["key.pem", "cert.pem"].map(|name| self.folder.path().join(name));
        let mut openssl = Command::new("openssl");
        openssl
            .args(["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"])
            .args(["-pkeyopt", "ec_paramgen_curve:prime256v1"])
            .args(["-subj", "/CN=127.0.0.1", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&certificate);
        program::capture(&mut openssl)?;
        let (key, certificate) = (key.display(), certificate.display());
        let options = format!(
            "[{{server, [{{certfile, \"{certificate}\"}}, {{keyfile, \"{key}\"}}, \
             {{verify, verify_none}}]}}, {{client, [{{verify, verify_none}}]}}].\n"
        );
        let file = self.tls_options();
        fs::write(&file, options).with_context(|| format!("cannot write {}", file.display()))
    }
}
