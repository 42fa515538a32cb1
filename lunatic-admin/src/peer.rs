//! The user at the other end of a socket.

use std::io;
use std::os::fd::AsFd;

use rustix::process::geteuid;

/// The user that a program runs as.
pub(crate) type Uid = u32;

const ROOT: Uid = 0;

/// Returns the user at the other end, if it is neither root nor the user of this program. If the
/// system does not report the user, only the mode of the directory keeps other users out.
pub(crate) fn stranger(socket: impl AsFd) -> io::Result<Option<Uid>> {
    let peer = uid_of(socket)?;
    Ok(peer.filter(|peer| !may_connect(*peer, geteuid().as_raw())))
}

fn may_connect(peer: Uid, own: Uid) -> bool {
    peer == own || peer == ROOT
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn uid_of(socket: impl AsFd) -> io::Result<Option<Uid>> {
    let peer = rustix::net::sockopt::socket_peercred(socket)?;
    Ok(Some(peer.uid.as_raw()))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn uid_of(_socket: impl AsFd) -> io::Result<Option<Uid>> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::may_connect;

    #[test]
    fn the_same_user_and_root_may_connect() {
        assert!(may_connect(1000, 1000) && may_connect(0, 1000) && may_connect(0, 0));
        assert!(!may_connect(1001, 1000) && !may_connect(1000, 0));
    }
}
