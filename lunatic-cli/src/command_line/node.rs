//! `lunatic node`: a runtime that is a node of a cluster.

pub(crate) mod arguments;
pub(crate) mod identity;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use futures_lite::future;
use lunatic_distributed::{Expelled, Node, NodeConfig, NodeError};

use crate::command_line::leaving::leave;
use crate::command_line::manifest::Manifest;
use crate::command_line::node::arguments::NodeArguments;
use crate::command_line::node::identity::Identity;
use crate::command_line::problem::Problem;
use crate::command_line::signals::Signals;
use crate::command_line::start::OnNode;
use crate::command_line::{admin, diagnosis, logging, run, start};
use crate::{Config, RemoteRights, Root, Runtime};

/// The entry of a program (ABI §16.1).
const START: &str = "_start";

impl NodeArguments {
    /// Looks at the files that it is to run, before other nodes know of it.
    fn check_files(&self) -> Result<(), Problem> {
        if let Some(manifest) = &self.app {
            Manifest::read(manifest)?.parse()?;
        }
        self.path()
            .map_or(Ok(()), |path| diagnosis::read(&path).map(drop))
    }

    /// What other nodes may do here.
    fn rights(&self) -> Result<RemoteRights, Problem> {
        match &self.remote {
            Some(file) => Manifest::read(file)?.parse_remote(),
            None => Ok(RemoteRights::default()),
        }
    }
}

/// Runs a node until its program ends, or it is told to.
pub(crate) fn node(arguments: &NodeArguments) -> Result<ExitCode, Problem> {
    logging::start("warn,lunatic=info,lunatic_distributed=info")?;
    arguments.check_files()?;
    let rights = arguments.rights()?;
    // The first process of a container is not ended by a signal that nobody listens for.
    let mut signals = Signals::listen()?;
    future::block_on(async {
        let told_to_end = async {
            signals.next().await;
            None
        };
        let started = async {
            Some(match identity_of(arguments).await {
                Ok(identity) => start_node(arguments, identity).await,
                Err(problem) => Err(problem),
            })
        };
        let Some(started) = future::or(started, told_to_end).await else {
            return Ok(ExitCode::SUCCESS);
        };
        let node = started?;
        let info = node.info();
        tracing::info!("node {} listens at {}", info.name, info.address);
        let builder = run::runtime(&arguments.engine);
        let builder = builder.node(node.clone(), rights);
        let runtime = builder.start().map_err(Problem::new)?;
        let expelled = async { Err(node.expelled().await) };
        let ended = async { Ok(run_on(&runtime, &node, arguments, &mut signals).await) };
        let ended = match future::or(ended, expelled).await {
            Ok(ended) => ended,
            Err(expelled) => {
                // Whoever started it is to start it again, rather than let it run alone.
                run::shut_down(&runtime, &mut signals).await;
                Err(no_longer_in(expelled))
            }
        };
        node.stop().await;
        ended
    })
}

/// Finds out who the node is, by a thread of its own: a node that joins with a token waits for another,
/// and may be told to end meanwhile.
async fn identity_of(arguments: &NodeArguments) -> Result<Identity, Problem> {
    let identity = arguments.identity.clone();
    let (named, seeds) = (arguments.naming.name().cloned(), arguments.join.clone());
    let (sender, receiver) = async_channel::bounded(1);
    let find = move || {
        let found = Identity::of(&identity, named.as_ref(), &seeds);
        // Whoever waited may have been told to end.
        sender.try_send(found).ok();
    };
    let thread = std::thread::Builder::new().name("node-identity".into());
    thread.spawn(find).map_err(Problem::new)?;
    match receiver.recv().await {
        Ok(found) => found,
        Err(lost) => Err(Problem::new(lost)),
    }
}

/// What is said when the node has to end, as another has its name or number.
fn no_longer_in(expelled: Expelled) -> Problem {
    let problem = Problem::new(format!("the node is no longer in the cluster: {expelled}"));
    match expelled {
        Expelled::NameTaken => {
            problem.help("start it again with another --name, or end the other one first")
        }
        _ => problem.help("start it again: it takes another number"),
    }
}

/// What `lunatic control` says.
pub(crate) fn no_control_server() -> Problem {
    Problem::new("there is no control server any more: nodes find each other by themselves").help(
        "make a cluster with lunatic cluster init NAME, start the first node with lunatic node \
         --cluster NAME, and others with --join HOST:PORT of any node",
    )
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
            NodeError::Tags { .. } => problem.help("give it fewer, or shorter ones, with --tag"),
            NodeError::Advertised(_) => {
                problem.help("name the address that others reach with --advertise")
            }
            _ => problem,
        }
    })
}

/// Runs what the node is to run.
async fn run_on(
    runtime: &Runtime,
    node: &Node,
    arguments: &NodeArguments,
    signals: &mut Signals,
) -> Result<ExitCode, Problem> {
    let NodeArguments { naming, views, .. } = arguments;
    if let Some(manifest) = &arguments.app {
        let on_node = Some(OnNode { node, signals });
        return start::start_on(runtime, manifest, naming, views, None, on_node).await;
    }
    let _admin = admin::listen(runtime, &arguments.naming)?;
    let _shown = arguments.views.show(runtime)?;
    let Some(path) = arguments.path() else {
        signals.next().await;
        leave(node, runtime, signals).await;
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
            leave(node, runtime, signals).await;
            Ok(code)
        }
        None => {
            leave(node, runtime, signals).await;
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
