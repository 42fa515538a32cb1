//! From what a manifest says to what a supervisor is started with.

use futures_lite::future::{Boxed, FutureExt};
use lunatic_supervisor::{ChildSpec, Spec};

use crate::command_line::diagnosis;
use crate::command_line::manifest::application::{Program, ProgramOrSupervisor, Supervisor};
use crate::command_line::manifest::check::Modules;
use crate::command_line::problem::Problem;
use crate::{NameScope, Root, Runtime};

/// Everything that the children of a tree are made from.
#[derive(Debug, Clone)]
pub(crate) struct TreeBuilder {
    pub(crate) runtime: Runtime,
    pub(crate) modules: Modules,
    /// All processes of the tree find each other.
    pub(crate) names: NameScope,
}

impl TreeBuilder {
    /// The supervisor and all below it.
    pub(crate) fn spec(self, name: String, supervisor: Supervisor) -> Boxed<Result<Spec, Problem>> {
        async move {
            let mut spec = Spec::new(name).flags(supervisor.flags);
            for child in supervisor.children {
                spec = spec.child(self.child(child).await?);
            }
            Ok(spec)
        }
        .boxed()
    }

    async fn child(
        &self,
        child: ChildSpec<ProgramOrSupervisor>,
    ) -> Result<ChildSpec<lunatic_supervisor::ChildStart>, Problem> {
        let start = match child.start {
            ProgramOrSupervisor::Program(program) => self.program(*program).await?,
            ProgramOrSupervisor::Supervisor(supervisor) => {
                let spec = self.clone().spec(child.name.clone(), supervisor).await?;
                spec.into_child().start
            }
        };
        Ok(ChildSpec {
            name: child.name,
            restart: child.restart,
            shutdown: child.shutdown,
            kind: child.kind,
            significant: child.significant,
            start,
        })
    }

    async fn program(&self, program: Program) -> Result<lunatic_supervisor::ChildStart, Problem> {
        let path = &program.module.value;
        let Some(module) = self.modules.get(path) else {
            let shown = path.display();
            return Err(Problem::new(format!("`{shown}` was not loaded")));
        };
        let root = Root::new(program.export.value).config(program.config);
        let start = self.runtime.child(module, root, &self.names).await;
        start.map_err(|failure| diagnosis::not_started(path, &failure))
    }
}
