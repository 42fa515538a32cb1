//! What a node shows to others, and by what it judges them.

mod connection_key;
mod error;
mod refreshing;
mod renewing;
mod revocations;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::slice;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use parking_lot::{Mutex, RwLock};
use rustls::pki_types::CertificateDer;

use crate::authority::Authority;
use crate::certificate::Validity;
use crate::files;
use crate::identity::{Identity, IdentityError};
use crate::key::NodeKey;
use crate::name::{ClusterName, NodeName};
use crate::refusal::Refusal;
use crate::revocation::{RevocationList, revoked_at};

pub use error::{CredentialsError, RefreshWarning, RenewalError};
pub use refreshing::Refreshed;
pub use renewing::Renewal;

/// The key and the certificates of a node in its state directory.
const IDENTITY: &str = "identity.pem";

/// So many refusals are kept until they are taken.
const MAX_REFUSALS: usize = 64;

/// The certificate of a node, its private key, and whom it lets in.
///
/// Clones, and the configurations of [`tls`](Credentials::tls), share everything: they use
/// a new certificate or list of revoked names from when it is there.
#[derive(Debug, Clone)]
pub struct Credentials {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    identity: RwLock<Arc<Identity>>,
    /// At most one of each authority.
    revocations: RwLock<Arc<[RevocationList]>>,
    /// Whether the state directory has other revocations.
    is_unsaved: AtomicBool,
    source: Source,
    state: Option<PathBuf>,
    /// Why peers were refused in handshakes, and what they were told; the oldest first.
    refusals: Mutex<VecDeque<(String, Refusal)>>,
}

/// Where another certificate comes from.
#[derive(Debug)]
enum Source {
    Authority(Authority),
    Files(IdentityFiles),
    /// A request to who has the cluster directory.
    Request,
}

/// The files that a node is told to use. All are PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityFiles {
    /// Certificates of authorities.
    pub authorities: PathBuf,
    /// The certificate of the node, and those between it and an authority. It has exactly one
    /// URI of the form `lunatic://CLUSTER/NODE` among the names of its subject, and is for
    /// clients and servers.
    pub certificate: PathBuf,
    /// The private key of the node.
    pub key: PathBuf,
}

impl IdentityFiles {
    /// The file that is most likely to be wrong.
    fn blame(&self, error: &IdentityError) -> &Path {
        match error {
            IdentityError::NoAuthority | IdentityError::BadAuthority { .. } => &self.authorities,
            IdentityError::NoKey | IdentityError::Key(_) => &self.key,
            _ => &self.certificate,
        }
    }
}

impl Credentials {
    /// Credentials that come from the directory of the cluster itself.
    ///
    /// - `name`: the name of the node.
    /// - `state`: where the key and the certificate are kept for the next start; made if it
    ///   is missing. Without it, they are in memory.
    ///
    /// # Errors
    ///
    /// [`CredentialsError::Issue`] if the name is revoked; others if the directory cannot be
    /// used.
    pub fn from_authority(
        authority: &Authority,
        name: &NodeName,
        state: Option<&Path>,
        now: SystemTime,
    ) -> Result<Self, CredentialsError> {
        let list = authority
            .revocations()
            .map_err(CredentialsError::Authority)?;
        let kept = state.and_then(|state| {
            let bundle = files::read(&state.join(IDENTITY)).ok()?;
            let kept = Identity::from_bundle(&bundle, now).ok()?;
            let is_usable = kept.name == *name
                && kept.trust.anchors.contains(authority.certificate())
                && !kept.validity.is_nearly_over(now)
                && revoked_at(slice::from_ref(&list), name, kept.issued_at).is_none();
            is_usable.then_some(kept)
        });
        let (identity, is_new) = match kept {
            Some(kept) => (kept, false),
            None => (issue_own(authority, name, None, now)?, true),
        };
        let source = Source::Authority(authority.clone());
        let credentials = Self::new(identity, vec![list], source, state);
        if is_new {
            credentials
                .save_identity()
                .map_err(CredentialsError::File)?;
        }
        credentials
            .save_revocations()
            .map_err(CredentialsError::File)?;
        Ok(credentials)
    }

    /// Credentials from files that somebody else keeps up to date.
    ///
    /// - `state`: where the names that others say to be revoked are kept for the next start; made
    ///   if it is missing. Without it, they are in memory.
    ///
    /// # Errors
    ///
    /// [`CredentialsError`] if they cannot be read, or others would not accept them.
    pub fn from_files(
        files: IdentityFiles,
        state: Option<&Path>,
        now: SystemTime,
    ) -> Result<Self, CredentialsError> {
        let identity = refreshing::read_files(&files, now)?;
        let kept = state.map(|state| revocations::kept(state, &identity.trust));
        let lists = kept.transpose()?.unwrap_or_default();
        Ok(Self::new(identity, lists, Source::Files(files), state))
    }

    /// What a node that has joined with a token has kept; `None` if it has not joined yet.
    ///
    /// - `state`: its state directory.
    ///
    /// # Errors
    ///
    /// [`CredentialsError`] if it is damaged, or its certificate has expired.
    pub fn from_state(state: &Path, now: SystemTime) -> Result<Option<Self>, CredentialsError> {
        let path = state.join(IDENTITY);
        let bundle = match files::read(&path) {
            Ok(bundle) => bundle,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(CredentialsError::File(error)),
        };
        let identity = Identity::from_bundle(&bundle, now)
            .map_err(|source| CredentialsError::Identity { path, source })?;
        let lists = revocations::kept(state, &identity.trust)?;
        Ok(Some(Self::new(
            identity,
            lists,
            Source::Request,
            Some(state),
        )))
    }

    /// Credentials of a node that has just joined, kept in `state`.
    pub(crate) fn joined(
        identity: Identity,
        list: RevocationList,
        state: Option<&Path>,
    ) -> Result<Self, files::FileError> {
        let credentials = Self::new(identity, vec![list], Source::Request, state);
        credentials.save_revocations()?;
        credentials.save_identity()?;
        Ok(credentials)
    }

    fn new(
        identity: Identity,
        lists: Vec<RevocationList>,
        source: Source,
        state: Option<&Path>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                identity: RwLock::new(identity.into()),
                revocations: RwLock::new(lists.into()),
                is_unsaved: AtomicBool::new(true),
                source,
                state: state.map(Path::to_owned),
                refusals: Mutex::default(),
            }),
        }
    }

    /// The name of this node, which never changes.
    pub fn name(&self) -> NodeName {
        self.identity().name.clone()
    }

    /// The cluster, which never changes.
    pub fn cluster(&self) -> ClusterName {
        self.identity().trust.cluster.clone()
    }

    /// The certificate of this node, and those that lead to its authority, in DER.
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.identity().certified.cert.clone()
    }

    /// Since when and until when the certificate is valid.
    pub fn validity(&self) -> Validity {
        self.identity().validity
    }

    /// Takes out why a peer was refused in a handshake: for the own log, as the error of the
    /// handshake does not say it. The last 64 are kept.
    ///
    /// - `error`: the text of that error, which no two handshakes have in common.
    pub fn take_refusal(&self, error: &str) -> Option<Refusal> {
        let mut refusals = self.shared.refusals.lock();
        let found = refusals.iter().position(|(told, _)| error.contains(told))?;
        refusals.remove(found).map(|(_, refusal)| refusal)
    }

    /// Keeps why a peer is refused.
    ///
    /// - `told`: what the peer is told, and nobody else.
    pub(crate) fn note_refusal(&self, told: String, refusal: Refusal) {
        let mut refusals = self.shared.refusals.lock();
        if refusals.len() == MAX_REFUSALS {
            refusals.pop_front();
        }
        refusals.push_back((told, refusal));
    }

    /// The directory of the cluster, if this node has it and can let others join.
    pub fn authority(&self) -> Option<&Authority> {
        match &self.shared.source {
            Source::Authority(authority) => Some(authority),
            Source::Files(_) | Source::Request => None,
        }
    }

    pub(crate) fn identity(&self) -> Arc<Identity> {
        self.shared.identity.read().clone()
    }

    fn install(&self, identity: Identity) {
        *self.shared.identity.write() = identity.into();
    }

    fn save_identity(&self) -> Result<(), files::FileError> {
        let Some(state) = &self.shared.state else {
            return Ok(());
        };
        files::make_directory(state)?;
        let pem = self.identity().to_pem();
        files::write(&state.join(IDENTITY), pem.as_bytes(), 0o600)
    }
}

/// Makes a key, and a certificate for it.
///
/// - `issued_at`: when the certificate was issued that the node has; `None` if it has none.
fn issue_own(
    authority: &Authority,
    name: &NodeName,
    issued_at: Option<SystemTime>,
    now: SystemTime,
) -> Result<Identity, CredentialsError> {
    let key = NodeKey::generate().map_err(CredentialsError::Key)?;
    let request = key.request().map_err(CredentialsError::Key)?;
    let chain = authority
        .issue_unless_revoked(name, issued_at, &request, now)
        .map_err(CredentialsError::Issue)?;
    let anchors = vec![authority.certificate().clone()];
    Identity::new(anchors, chain, key.to_der(), now).map_err(|source| CredentialsError::Identity {
        path: authority.directory().to_owned(),
        source,
    })
}
