//! What a manifest says.

use std::path::PathBuf;

use crate::Config;
use lunatic_supervisor::{ChildSpec, Flags};

use crate::command_line::manifest::diagnostic::Located;

/// A supervision tree.
#[derive(Debug, Clone)]
pub(crate) struct Application {
    /// The root of the tree.
    pub(crate) top: Supervisor,
}

/// A supervisor and its children, in the order in which they are started.
#[derive(Debug, Clone)]
pub(crate) struct Supervisor {
    pub(crate) flags: Flags,
    pub(crate) children: Vec<ChildSpec<ProgramOrSupervisor>>,
}

/// How a child is started.
#[derive(Debug, Clone)]
pub(crate) enum ProgramOrSupervisor {
    /// It is an instance of a module.
    Program(Box<Program>),
    /// It supervises others.
    Supervisor(Supervisor),
}

/// A module and what its instance is given.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// Its file.
    pub(crate) module: Located<PathBuf>,
    /// The function that is its body.
    pub(crate) export: Located<String>,
    /// What it may do and what it is given.
    pub(crate) config: Config,
    /// The directories among that, as they are on this system.
    pub(crate) dirs: Vec<Located<PathBuf>>,
    /// Where its limit of memory is set, if it is.
    pub(crate) max_memory: Option<Located<u64>>,
}

impl Supervisor {
    /// All supervisors of the tree but this one, and all programs.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let of_child = |child: &ChildSpec<ProgramOrSupervisor>| match &child.start {
            ProgramOrSupervisor::Program(_) => (0, 1),
            ProgramOrSupervisor::Supervisor(supervisor) => {
                let (supervisors, programs) = supervisor.counts();
                (supervisors + 1, programs)
            }
        };
        self.children
            .iter()
            .map(of_child)
            .fold((0, 0), |sum, child| (sum.0 + child.0, sum.1 + child.1))
    }

    /// All programs of the tree by their paths, as `kitchen/cook-1`.
    pub(crate) fn named_programs(&self) -> Vec<(String, &Program)> {
        fn of_child(child: &ChildSpec<ProgramOrSupervisor>) -> Vec<(String, &Program)> {
            match &child.start {
                ProgramOrSupervisor::Program(program) => vec![(child.name.clone(), program)],
                ProgramOrSupervisor::Supervisor(supervisor) => supervisor
                    .named_programs()
                    .into_iter()
                    .map(|(path, program)| (format!("{}/{path}", child.name), program))
                    .collect(),
            }
        }
        self.children.iter().flat_map(of_child).collect()
    }

    /// All programs of the tree, in the order in which they are started.
    pub(crate) fn programs(&self) -> Vec<&Program> {
        fn of_child(child: &ChildSpec<ProgramOrSupervisor>) -> Vec<&Program> {
            match &child.start {
                ProgramOrSupervisor::Program(program) => vec![program],
                ProgramOrSupervisor::Supervisor(supervisor) => supervisor.programs(),
            }
        }
        self.children.iter().flat_map(of_child).collect()
    }
}
