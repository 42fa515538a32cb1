//! The locals of a function.

use wasmparser::{BinaryReaderError, FunctionBody, ValType};

/// The locals of a function: its parameters, and what its body declares.
pub(super) struct Locals<'a> {
    params: Box<[ValType]>,
    /// The groups in which they are declared: how many, and their type.
    groups: Vec<(u32, ValType)>,
    /// How many there are, with the parameters.
    count: u32,
    /// The groups, encoded.
    bytes: &'a [u8],
}

impl<'a> Locals<'a> {
    /// - `params`: the parameters of the function.
    ///
    /// # Errors
    ///
    /// Fails where the binary format is broken.
    pub(super) fn of(
        body: &FunctionBody<'a>,
        params: &[ValType],
    ) -> Result<Locals<'a>, BinaryReaderError> {
        let mut reader = body.get_locals_reader()?;
        let start = reader.original_position() - body.range().start;
        let mut count = params.len() as u32;
        let mut groups = Vec::new();
        for _ in 0..reader.get_count() {
            let (more, ty) = reader.read()?;
            count = count.saturating_add(more);
            groups.push((more, ty));
        }
        let end = reader.original_position() - body.range().start;
        Ok(Locals {
            params: params.into(),
            groups,
            count,
            bytes: &body.as_bytes()[start..end],
        })
    }

    /// How many there are, with the parameters.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// The types that its body declares, each at least once.
    pub(super) fn declared(&self) -> impl Iterator<Item = ValType> {
        self.groups.iter().map(|(_, ty)| *ty)
    }

    /// In how many groups they are declared.
    pub(super) fn groups(&self) -> u32 {
        self.groups.len() as u32
    }

    /// The groups, encoded.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The type of one; `None` if there is none of that index.
    pub(super) fn ty(&self, local: u32) -> Option<ValType> {
        if let Some(param) = self.params.get(local as usize) {
            return Some(*param);
        }
        let mut before = local - self.params.len() as u32;
        for (count, ty) in &self.groups {
            match before.checked_sub(*count) {
                Some(rest) => before = rest,
                None => return Some(*ty),
            }
        }
        None
    }
}
