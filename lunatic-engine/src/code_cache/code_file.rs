//! The format of a file with the code of a module.
//!
//! First the code, as wasmtime serializes it, so that the file can be mapped as it is. Then, from
//! the start of a page on, the image of the memory. Then the [`Trailer`], and at last its length.

use std::io;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::arena::Arena;
use crate::code_cache::key::Key;
use crate::code_cache::mapped;
use crate::compiled_module::CompiledModule;
use crate::sealed_file::SealedFile;

/// The properties of the code.
#[derive(Debug, Serialize, Deserialize)]
struct Trailer {
    /// The key: the name of a file can be changed.
    key: [u8; 32],
    has_points: bool,
    image: Option<ImagePlace>,
}

/// The position of the image of the memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ImagePlace {
    /// In the memory, from here on.
    start: usize,
    /// In the file, there.
    part: Range<u64>,
}

/// The length of the trailer, as the last bytes of the file have it.
type TrailerLength = u32;

/// Maps the code of a module.
///
/// # Errors
///
/// Fails if it is kept for another key, or cannot be mapped.
pub(super) fn open(
    file: &SealedFile,
    key: &Key,
    engine: &wasmtime::Engine,
    arena: Option<&Arena>,
) -> io::Result<CompiledModule> {
    let Trailer {
        key: is_for,
        has_points,
        image,
    } = Trailer::read(file)?;
    if is_for != *key.as_bytes() {
        return Err(io::Error::other("it is kept for another module"));
    }
    let image = match (image, arena) {
        (None, _) => None,
        (Some(ImagePlace { start, part }), Some(arena)) => {
            Some(arena.kept_image(start, file, &part)?)
        }
        (Some(_), None) => return Err(io::Error::other("there is no arena")),
    };
    let module = mapped::module(engine, file).map_err(|error| {
        io::Error::other(lunatic_error::with_causes(error.as_ref()).to_string())
    })?;
    Ok(CompiledModule {
        module,
        has_points,
        image,
    })
}

impl Trailer {
    fn read(file: &SealedFile) -> io::Result<Trailer> {
        /// No trailer is longer.
        const MAX_BYTES: u64 = 256;
        let damaged = || io::Error::other("its end is not what it has to be");
        let end = file.read_end(MAX_BYTES)?;
        let (before, length) = end
            .split_last_chunk::<{ size_of::<TrailerLength>() }>()
            .ok_or_else(damaged)?;
        let length = TrailerLength::from_le_bytes(*length) as usize;
        let start = before.len().checked_sub(length).ok_or_else(damaged)?;
        postcard::from_bytes(&before[start..]).map_err(|_| damaged())
    }
}

/// The parts of a file, in order.
pub(super) struct Parts<'a> {
    code: Vec<u8>,
    padding: Vec<u8>,
    image: &'a [u8],
    trailer: Vec<u8>,
}

impl<'a> Parts<'a> {
    /// - `key`: for which the module is kept.
    ///
    /// # Errors
    ///
    /// Fails if the code cannot be serialized.
    pub(super) fn of(key: &Key, module: &'a CompiledModule) -> io::Result<Parts<'a>> {
        let unserializable = |error: wasmtime::Error| {
            io::Error::other(lunatic_error::with_causes(error.as_ref()).to_string())
        };
        let code = module.module.serialize().map_err(unserializable)?;
        let (image, padding, place) = match &module.image {
            None => (&[][..], 0, None),
            Some(image) => {
                let padding = code.len().next_multiple_of(image.alignment()) - code.len();
                let start = (code.len() + padding) as u64;
                let bytes = image.bytes();
                let place = ImagePlace {
                    start: image.start(),
                    part: start..start + bytes.len() as u64,
                };
                (bytes, padding, Some(place))
            }
        };
        let trailer = Trailer {
            key: *key.as_bytes(),
            has_points: module.has_points,
            image: place,
        };
        let mut trailer = postcard::to_allocvec(&trailer).map_err(io::Error::other)?;
        let length = trailer.len() as TrailerLength;
        trailer.extend(length.to_le_bytes());
        Ok(Parts {
            code,
            padding: vec![0; padding],
            image,
            trailer,
        })
    }

    pub(super) fn as_slices(&self) -> [&[u8]; 4] {
        [&self.code, &self.padding, self.image, &self.trailer]
    }
}
