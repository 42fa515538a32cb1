//! The part of a guest's state that belongs to this crate.

use std::fmt;

use lunatic_abi::{Resource, Table};

use crate::spec::Spec;

/// The specifications and lists that a process holds. It takes no memory until the
/// process holds one.
#[derive(Debug, Default)]
pub struct GuestSupervisors {
    tables: Option<Box<Tables>>,
}

#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) specs: Table<GuestSpec>,
    pub(super) lists: Table<GuestList>,
}

/// A specification that a guest holds an id of.
#[derive(Debug)]
pub(super) struct GuestSpec {
    pub(super) spec: Spec,
    /// The bytes that are charged for its children.
    pub(super) children_bytes: u64,
}

impl Resource for GuestSpec {
    const KIND: &'static str = "supervisor specification";
    const LIMIT: usize = 1 << 12;

    fn size(&self) -> usize {
        self.children_bytes as usize
    }
}

/// The records of a list that a guest holds an id of.
pub(super) struct GuestList(pub(super) Vec<u8>);

impl Resource for GuestList {
    const KIND: &'static str = "list of children";
    const LIMIT: usize = 1 << 4;

    fn size(&self) -> usize {
        self.0.len()
    }
}

impl GuestSupervisors {
    /// Returns the state of a new process, which holds nothing.
    pub fn new() -> GuestSupervisors {
        GuestSupervisors::default()
    }

    pub(super) fn tables(&mut self) -> &mut Tables {
        self.tables.get_or_insert_default()
    }
}

impl fmt::Debug for GuestList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GuestList({} bytes)", self.0.len())
    }
}
