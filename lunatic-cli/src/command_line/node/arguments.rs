//! The arguments of `lunatic node`.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::Args;

use crate::command_line::admin::Naming;
use crate::command_line::engine::Engine;
use crate::command_line::grants::Grants;
use crate::command_line::node::identity::IdentityArguments;
use crate::command_line::views::Views;

/// How a node is started.
#[derive(Debug, Args)]
pub(crate) struct NodeArguments {
    #[command(flatten)]
    pub(super) identity: IdentityArguments,

    /// Where the node listens; port 0 takes a free one.
    #[arg(
        long,
        alias = "bind-socket",
        value_name = "ADDR:PORT",
        value_parser = address,
        default_value_t = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0)
    )]
    pub(super) listen: SocketAddr,

    /// Where other nodes reach it, if not where it listens; port 0 stands for that of --listen.
    #[arg(long, value_name = "ADDR:PORT", value_parser = address)]
    pub(super) advertise: Option<SocketAddr>,

    /// A node to ask for others, as HOST:PORT. HOST may be a name with several addresses. It is
    /// asked as long as this node lives.
    #[arg(long, value_name = "HOST:PORT", value_parser = seed)]
    pub(super) join: Vec<String>,

    /// What lookups of nodes find this one by.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tag)]
    pub(super) tags: Vec<(String, String)>,

    /// What other nodes may do here: a file in TOML with a table [remote], in the words of a
    /// manifest. Without one, the processes that they start have memory and standard output.
    #[arg(long, value_name = "FILE")]
    pub(super) remote: Option<PathBuf>,

    /// An application that runs on the node: a manifest, as for `lunatic start`.
    #[arg(long, value_name = "MANIFEST", conflicts_with_all = ["path_and_args", "wasm"])]
    pub(super) app: Option<PathBuf>,

    /// A module that runs on the node.
    #[arg(
        long,
        value_name = "PATH",
        hide = true,
        conflicts_with = "path_and_args"
    )]
    pub(super) wasm: Option<PathBuf>,

    #[command(flatten)]
    pub(super) grants: Grants,

    #[command(flatten)]
    pub(super) engine: Engine,

    #[command(flatten)]
    pub(super) naming: Naming,

    #[command(flatten)]
    pub(super) views: Views,

    /// A `.wasm` or `.wat` file that runs on the node; everything after it is the guest's.
    /// Without one, the node only runs what others start on it.
    #[arg(
        value_names = ["PATH", "ARGS"],
        num_args = 0..,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub(super) path_and_args: Vec<OsString>,
}

impl NodeArguments {
    /// The module that runs on the node.
    pub(super) fn path(&self) -> Option<PathBuf> {
        let path = self.path_and_args.first().map(PathBuf::from);
        path.or_else(|| self.wasm.clone())
    }
}

/// Reads an address of this host with a port.
fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("`{text}` is no address with a port; write one like 127.0.0.1:4369 or [::1]:4369")
    })
}

/// Where a node is asked; whether the host is there is found out later, again and again.
fn seed(text: &str) -> Result<String, String> {
    let is_seed = text.rsplit_once(':').is_some_and(|(host, port)| {
        let is_v6 = host.starts_with('[') && host.ends_with(']');
        let is_host = !host.is_empty() && (is_v6 || !host.contains([':', '/', ' ', '[', ']']));
        is_host && port.parse::<u16>().is_ok_and(|port| port != 0)
    });
    match is_seed {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "`{text}` does not say where a node is: write HOST:PORT, as in 10.0.0.5:4369, \
             node.example.com:4369 or [2001:db8::5]:4369"
        )),
    }
}

fn tag(text: &str) -> Result<(String, String), String> {
    let tag = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let (key, value) = tag.ok_or_else(|| format!("`{text}` is no tag: write KEY=VALUE"))?;
    Ok((key.into(), value.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_has_a_host_and_a_port() {
        for right in [
            "10.0.0.5:4369",
            "node:1",
            "node.example.com:65535",
            "[2001:db8::5]:4369",
        ] {
            assert_eq!(seed(right).as_deref(), Ok(right));
        }
        for wrong in [
            "",
            "node",
            "node:",
            ":4369",
            "node:0",
            "node:65536",
            "node:http",
        ] {
            assert!(seed(wrong).is_err(), "{wrong}");
        }
        for wrong in [
            "2001:db8::5:4369",
            "[::1]",
            "quic://node:4369",
            "node :4369",
        ] {
            let error = seed(wrong).expect_err(wrong);
            assert!(error.contains("write HOST:PORT, as in 10.0.0.5:4369"));
        }
    }
}
