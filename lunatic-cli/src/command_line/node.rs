//! `lunatic node`: a runtime that is a node of a cluster.

mod identity;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::{Config, RemoteRights, Root, Runtime};
use clap::Args;
use futures_lite::future;
use lunatic_distributed::{Node, NodeConfig, NodeError};

use crate::command_line::arguments::Engine;
use crate::command_line::grants::Grants;
use crate::command_line::manifest::Manifest;
use crate::command_line::node::identity::{Identity, IdentityArguments};
use crate::command_line::problem::Problem;
use crate::command_line::signals::Signals;
use crate::command_line::{admin, diagnosis, logging, run, start};

/// The entry of a program (ABI §16.1).
const START: &str = "_start";

/// How a node is started.
#[derive(Debug, Args)]
pub(crate) struct NodeArguments {
    #[command(flatten)]
    identity: IdentityArguments,

    /// Where the node listens; port 0 takes a free one.
    #[arg(
        long,
        alias = "bind-socket",
        value_name = "ADDR:PORT",
        default_value_t = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0)
    )]
    listen: SocketAddr,

    /// Where other nodes reach it, if not where it listens; port 0 stands for that of --listen.
    #[arg(long, value_name = "ADDR:PORT")]
    advertise: Option<SocketAddr>,

    /// A node to ask for others, as HOST:PORT. HOST may be a name with several addresses. It is
    /// asked as long as this node lives.
    #[arg(long, value_name = "HOST:PORT")]
    join: Vec<String>,

    /// What lookups of nodes find this one by.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tag)]
    tags: Vec<(String, String)>,

    /// An application that runs on the node: a manifest, as for `lunatic start`.
    #[arg(long, value_name = "MANIFEST", conflicts_with_all = ["path_and_args", "wasm"])]
    app: Option<PathBuf>,

    /// A module that runs on the node.
    #[arg(
        long,
        value_name = "PATH",
        hide = true,
        conflicts_with = "path_and_args"
    )]
    wasm: Option<PathBuf>,

    #[command(flatten)]
    grants: Grants,

    #[command(flatten)]
    engine: Engine,

    #[command(flatten)]
    naming: admin::Naming,

    /// A `.wasm` or `.wat` file that runs on the node; everything after it is the guest's.
    /// Without one, the node only runs what others start on it.
    #[arg(
        value_names = ["PATH", "ARGS"],
        num_args = 0..,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    path_and_args: Vec<OsString>,
}

impl NodeArguments {
    /// The module that runs on the node.
    fn path(&self) -> Option<PathBuf> {
        let path = self.path_and_args.first().map(PathBuf::from);
        path.or_else(|| self.wasm.clone())
    }

    /// Looks at the files that it is to run, before other nodes know of it.
    fn check_files(&self) -> Result<(), Problem> {
        if let Some(manifest) = &self.app {
            Manifest::read(manifest)?.parse()?;
        }
        self.path()
            .map_or(Ok(()), |path| diagnosis::read(&path).map(drop))
    }
}

fn tag(text: &str) -> Result<(String, String), String> {
    let tag = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let (key, value) = tag.ok_or_else(|| format!("`{text}` is no tag: write KEY=VALUE"))?;
    Ok((key.into(), value.into()))
}

/// Runs a node until its program ends, or it is told to.
pub(crate) fn node(arguments: &NodeArguments) -> Result<ExitCode, Problem> {
    logging::start("warn,lunatic=info,lunatic_distributed=info")?;
    arguments.check_files()?;
    let name = identity::name_of(arguments.naming.name())?;
    let identity = Identity::of(&arguments.identity, &name, &arguments.join)?;
    future::block_on(async {
        let node = start_node(arguments, identity).await?;
        let info = node.info();
        tracing::info!("node {} listens at {}", info.name, info.address);
        let builder = run::runtime(&arguments.engine);
        let builder = builder.node(node.clone(), RemoteRights::default());
        let runtime = builder.start().map_err(Problem::new)?;
        let ended = run_on(&runtime, arguments).await;
        node.stop().await;
        ended
    })
}

async fn start_node(arguments: &NodeArguments, identity: Identity) -> Result<Node, Problem> {
    let mut config = NodeConfig::new(identity.credentials, arguments.listen);
    config.advertise = arguments.advertise;
    config.seeds.clone_from(&arguments.join);
    config.tags = arguments.tags.iter().cloned().collect::<BTreeMap<_, _>>();
    config.key = identity.connection_key;
    Node::start(config).await.map_err(|error| {
        let problem = Problem::new(&error);
        match error {
            NodeError::Bind { .. } => problem.help("take another address or port with --listen"),
            _ => problem,
        }
    })
}

/// Runs what the node is to run.
async fn run_on(runtime: &Runtime, arguments: &NodeArguments) -> Result<ExitCode, Problem> {
    if let Some(manifest) = &arguments.app {
        return start::start_on(runtime, manifest, &arguments.naming, None).await;
    }
    let mut signals = Signals::listen()?;
    let _admin = admin::listen(runtime, &arguments.naming)?;
    let Some(path) = arguments.path() else {
        signals.next().await;
        run::shut_down(runtime, &mut signals).await;
        return Ok(ExitCode::SUCCESS);
    };
    let bytes = diagnosis::read(&path)?;
    let name = diagnosis::module_name(&path);
    let module = diagnosis::load_as(runtime, &name, &path, bytes).await?;
    if !module.exported_functions().any(|(name, _)| name == START) {
        return Err(diagnosis::no_start(&path, &module));
    }
    let root = Root::new(START).config(config(&path, arguments)?);
    let program = runtime
        .start_program(&module, root)
        .await
        .map_err(|failure| diagnosis::not_started(&path, &failure))?;
    let told_to_end = async {
        signals.next().await;
        None
    };
    let ended = async { Some(program.wait().await) };
    match future::or(ended, told_to_end).await {
        Some(reason) => {
            runtime.main_environment().flush_log();
            let code = run::report(&path, &reason);
            // Processes that others have started here end as well.
            run::shut_down(runtime, &mut signals).await;
            Ok(code)
        }
        None => {
            run::shut_down(runtime, &mut signals).await;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn config(path: &Path, arguments: &NodeArguments) -> Result<Config, Problem> {
    let mut config = Config::trusted();
    arguments.grants.apply(&mut config)?;
    let args = arguments.path_and_args.iter().skip(1).cloned();
    run::add_args(&mut config, path, args)?;
    Ok(config)
}
