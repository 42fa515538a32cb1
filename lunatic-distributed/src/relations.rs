//! Links and monitors between the processes of two nodes, as one of them sees them.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use lunatic_mailbox::{Pid, Tag};
use lunatic_process::{ExitReason, Signal};

use crate::frame::Frame;
#[cfg(test)]
use crate::planted::{self, Fault};

/// So many relations one node may have to another.
pub(crate) const MAX_RELATIONS: usize = 1 << 20;

/// The links and monitors of a session. When the session ends, each of them is told once.
///
/// A link can be made and undone from both ends at the same time. An unlink therefore has
/// an id and is acknowledged, as since OTP 23: until then, what the other end says of the
/// link was said before it knew, and counts for nothing.
#[derive(Debug, Default)]
pub(crate) struct Relations {
    /// By the end here and the other one.
    links: HashMap<(Pid, Pid), Link>,
    /// The processes there that each process here monitors.
    watching: HashMap<Pid, HashSet<Pid>>,
    /// The processes there that monitor one here: watched and watcher.
    watched: HashSet<(Pid, Pid)>,
    /// How many entries all of these have.
    count: usize,
    last_unlink: u64,
}

#[derive(Debug, Clone, Copy)]
enum Link {
    /// Has what the end here is told when the other end dies.
    Linked(Option<Tag>),
    /// Undone from here by the unlink of this id.
    Unlinking(u64),
}

/// There are as many relations as there may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TooMany;

impl Relations {
    /// What is written to the other node for a signal of a process of this one; nothing, if
    /// it says nothing new.
    ///
    /// # Errors
    ///
    /// [`TooMany`].
    pub(crate) fn outgoing(
        &mut self,
        from: Pid,
        to: Pid,
        signal: Signal,
    ) -> Result<Option<Frame<'static>>, TooMany> {
        let frame = match signal {
            Signal::Link { tag, .. } => return self.link(from, to, tag, tag).map(Some),
            Signal::Unlink { .. } => self.unlink(from, to),
            Signal::LinkDied { tag, reason, .. } => {
                match self.remove_link(from, to, Link::is_linked) {
                    true => Some(Frame::LinkDied {
                        from,
                        to,
                        tag,
                        reason,
                    }),
                    false => None,
                }
            }
            Signal::Monitor { .. } => {
                let is_known = |watched: &HashSet<Pid>| watched.contains(&to);
                if !self.watching.get(&from).is_some_and(is_known) {
                    self.check_room()?;
                    self.watching.entry(from).or_default().insert(to);
                    self.count += 1;
                }
                Some(Frame::Signal { from, to, signal })
            }
            Signal::StopMonitoring { .. } => {
                let was_watching = self.stop_watching(from, to);
                was_watching.then_some(Frame::Signal { from, to, signal })
            }
            Signal::ProcessDied { .. } => {
                let was_watched = self.stop_being_watched(from, to);
                was_watched.then_some(Frame::Signal { from, to, signal })
            }
            signal => Some(Frame::Signal { from, to, signal }),
        };
        Ok(frame)
    }

    /// Links a process here to one there.
    ///
    /// - `tag`: what the process here is told when the other dies.
    /// - `back`: what the other is told.
    ///
    /// # Errors
    ///
    /// [`TooMany`].
    pub(crate) fn link(
        &mut self,
        from: Pid,
        to: Pid,
        tag: Option<Tag>,
        back: Option<Tag>,
    ) -> Result<Frame<'static>, TooMany> {
        self.insert_link(from, to, tag)?;
        Ok(Frame::Link {
            from,
            to,
            tag,
            back,
        })
    }

    fn unlink(&mut self, from: Pid, to: Pid) -> Option<Frame<'static>> {
        let link = self.links.get_mut(&(from, to))?;
        if let Link::Unlinking(_) = link {
            return None;
        }
        self.last_unlink += 1;
        let id = self.last_unlink;
        *link = Link::Unlinking(id);
        Some(Frame::Unlink { from, to, id })
    }

    /// A process there is linked to one here. Returns whether that counts.
    ///
    /// # Errors
    ///
    /// [`TooMany`].
    pub(crate) fn linked(
        &mut self,
        there: Pid,
        here: Pid,
        back: Option<Tag>,
    ) -> Result<bool, TooMany> {
        let is_unlinking = matches!(self.links.get(&(here, there)), Some(Link::Unlinking(_)));
        #[cfg(test)]
        let is_unlinking = is_unlinking && !planted::is(Fault::UnlinksAreNotAwaited);
        if is_unlinking {
            return Ok(false);
        }
        self.insert_link(here, there, back)?;
        Ok(true)
    }

    /// A process there has undone its link. Returns whether there was one.
    pub(crate) fn unlinked(&mut self, there: Pid, here: Pid) -> bool {
        self.remove_link(here, there, Link::is_linked)
    }

    /// The other node knows of an unlink.
    pub(crate) fn unlink_known(&mut self, there: Pid, here: Pid, id: u64) {
        let is_that = |link: &Link| matches!(link, Link::Unlinking(known) if *known == id);
        self.remove_link(here, there, is_that);
    }

    /// A process there that is linked to one here has died. Returns whether that counts.
    pub(crate) fn link_died(&mut self, there: Pid, here: Pid) -> bool {
        self.remove_link(here, there, Link::is_linked)
    }

    /// A process there monitors one here.
    ///
    /// # Errors
    ///
    /// [`TooMany`].
    pub(crate) fn monitored(&mut self, there: Pid, here: Pid) -> Result<(), TooMany> {
        if !self.watched.contains(&(here, there)) {
            self.check_room()?;
            self.watched.insert((here, there));
            self.count += 1;
        }
        Ok(())
    }

    /// Whether a process here is linked to one there.
    #[cfg(test)]
    pub(crate) fn is_linked(&self, here: Pid, there: Pid) -> bool {
        self.links.get(&(here, there)).is_some_and(Link::is_linked)
    }

    /// A process there no longer monitors one here.
    pub(crate) fn no_longer_monitored(&mut self, there: Pid, here: Pid) {
        self.stop_being_watched(here, there);
    }

    /// A process there has ended, or never was. Returns whether one here monitors it.
    pub(crate) fn process_died(&mut self, there: Pid, here: Pid) -> bool {
        self.stop_watching(here, there)
    }

    /// A process here has ended: the processes there that it monitored.
    pub(crate) fn watcher_ended(&mut self, here: Pid) -> Vec<Pid> {
        let watched = self.watching.remove(&here).unwrap_or_default();
        self.count -= watched.len();
        let mut watched: Vec<_> = watched.into_iter().collect();
        // In an order that does not depend on the seeds of hash tables.
        watched.sort_unstable();
        watched
    }

    /// Who is told what when the connection is lost. Nothing is left.
    pub(crate) fn end(&mut self) -> Vec<(Pid, Pid, Signal)> {
        self.count = 0;
        #[cfg(test)]
        if planted::is(Fault::LostLinksAreNotTold) {
            self.links.clear();
        }
        let links = self.links.drain().filter_map(|((here, there), link)| {
            let Link::Linked(tag) = link else {
                return None;
            };
            let died = Signal::LinkDied {
                peer: there,
                tag,
                reason: ExitReason::NoConnection,
            };
            Some((there, here, died))
        });
        let watching = self.watching.drain().flat_map(|(here, watched)| {
            watched.into_iter().map(move |there| {
                let died = Signal::ProcessDied {
                    process: there,
                    reason: ExitReason::NoConnection,
                };
                (there, here, died)
            })
        });
        let watched = self.watched.drain().map(|(here, there)| {
            let stop = Signal::StopMonitoring { watcher: there };
            (there, here, stop)
        });
        links.chain(watching).chain(watched).collect()
    }

    fn check_room(&self) -> Result<(), TooMany> {
        match self.count < MAX_RELATIONS {
            true => Ok(()),
            false => Err(TooMany),
        }
    }

    /// Links, or replaces the tag of a link, for which there is always room.
    fn insert_link(&mut self, here: Pid, there: Pid, tag: Option<Tag>) -> Result<(), TooMany> {
        if !self.links.contains_key(&(here, there)) {
            self.check_room()?;
            self.count += 1;
        }
        self.links.insert((here, there), Link::Linked(tag));
        Ok(())
    }

    /// Removes a link that meets a condition, and returns whether there was one.
    fn remove_link(&mut self, here: Pid, there: Pid, condition: impl Fn(&Link) -> bool) -> bool {
        let meets_it = self.links.get(&(here, there)).is_some_and(condition);
        if meets_it {
            self.links.remove(&(here, there));
            self.count -= 1;
        }
        meets_it
    }

    fn stop_watching(&mut self, here: Pid, there: Pid) -> bool {
        let Some(watched) = self.watching.get_mut(&here) else {
            return false;
        };
        let was_watching = watched.remove(&there);
        if watched.is_empty() {
            self.watching.remove(&here);
        }
        self.count -= usize::from(was_watching);
        was_watching
    }

    fn stop_being_watched(&mut self, here: Pid, there: Pid) -> bool {
        let was_watched = self.watched.remove(&(here, there));
        self.count -= usize::from(was_watched);
        was_watched
    }
}

impl Link {
    fn is_linked(&self) -> bool {
        matches!(self, Link::Linked(_))
    }
}
