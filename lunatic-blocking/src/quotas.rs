//! How many threads may work for an account.

use std::collections::BTreeMap;

use lunatic_account::Share;

/// Keeps the items of an account that exceed its [limit](Share::max_threads) of threads, until
/// other items of it have ended.
///
/// Items are identified by numbers: the lower number has come first.
pub(crate) struct Quotas<T> {
    accounts: BTreeMap<usize, Quota<T>>,
    /// The shares with a limit, of the admitted items, by number.
    inside: BTreeMap<u64, Share>,
    /// At which account something is kept.
    kept_at: BTreeMap<u64, usize>,
}

/// The count of one account.
struct Quota<T> {
    /// Keeps its address from being used again.
    _share: Share,
    inside: u64,
    kept: BTreeMap<u64, (Share, T)>,
}

impl<T> Default for Quotas<T> {
    fn default() -> Quotas<T> {
        Quotas {
            accounts: BTreeMap::new(),
            inside: BTreeMap::new(),
            kept_at: BTreeMap::new(),
        }
    }
}

impl<T> Quotas<T> {
    /// How much is kept.
    pub(crate) fn kept(&self) -> usize {
        self.kept_at.len()
    }

    /// Whether nothing is known of anybody.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.inside.is_empty() && self.kept_at.is_empty()
    }

    /// Admits an item, which is returned then; otherwise the item is kept.
    ///
    /// - `share`: of the account that it is for; `None` has no limit.
    pub(crate) fn enter(&mut self, number: u64, share: Option<&Share>, what: T) -> Option<T> {
        let Some(share) = share.filter(|share| limited(share).next().is_some()) else {
            return Some(what);
        };
        let is_full = |above: &&Share| {
            let quota = self.accounts.get(&above.address());
            quota.is_some_and(|quota| quota.inside >= above.max_threads())
        };
        if let Some(full) = limited(share).find(is_full) {
            let quota = self.quota(full);
            quota.kept.insert(number, (share.clone(), what));
            self.kept_at.insert(number, full.address());
            return None;
        }
        for above in limited(share) {
            self.quota(above).inside += 1;
        }
        self.inside.insert(number, share.clone());
        Some(what)
    }

    /// Takes out what is kept. Returns it, and what comes in now.
    pub(crate) fn remove(&mut self, number: u64) -> Option<(T, Vec<(u64, T)>)> {
        let account = self.kept_at.remove(&number)?;
        let quota = self.accounts.get_mut(&account)?;
        let (share, what) = quota.kept.remove(&number)?;
        Some((what, self.retry(&share)))
    }

    /// Records that an admitted item has ended, or was removed. Returns the items that are admitted
    /// instead.
    pub(crate) fn leave(&mut self, number: u64) -> Vec<(u64, T)> {
        let Some(share) = self.inside.remove(&number) else {
            return Vec::new();
        };
        for above in limited(&share) {
            self.quota(above).inside -= 1;
        }
        self.retry(&share)
    }

    /// Admits the items that are kept at an account and those above it, as far as possible.
    fn retry(&mut self, share: &Share) -> Vec<(u64, T)> {
        let mut entered = Vec::new();
        // From the top down: items that are kept higher up were refused by no other account, and
        // may have waited for longer.
        let from_top: Vec<_> = limited(share).collect();
        for above in from_top.into_iter().rev() {
            let mut refused = 0;
            while refused < MAX_REFUSED
                && let Some((number, (share, what))) = self.first_that_may_try(above)
            {
                self.kept_at.remove(&number);
                match self.enter(number, Some(&share), what) {
                    Some(what) => entered.push((number, what)),
                    // It is kept at another account, and this one is tried again when it leaves.
                    None => refused += 1,
                }
            }
        }
        self.forget_unused(share);
        entered
    }

    fn forget_unused(&mut self, share: &Share) {
        for above in limited(share) {
            let is_used = |quota: &Quota<T>| quota.inside > 0 || !quota.kept.is_empty();
            if !self.accounts.get(&above.address()).is_some_and(is_used) {
                self.accounts.remove(&above.address());
            }
        }
    }

    /// Takes out the first that is kept at an account, if that is not full.
    fn first_that_may_try(&mut self, at: &Share) -> Option<(u64, (Share, T))> {
        let quota = self.accounts.get_mut(&at.address())?;
        match quota.inside < at.max_threads() {
            true => quota.kept.pop_first(),
            false => None,
        }
    }

    fn quota(&mut self, of: &Share) -> &mut Quota<T> {
        self.accounts.entry(of.address()).or_insert_with(|| Quota {
            _share: of.clone(),
            inside: 0,
            kept: BTreeMap::new(),
        })
    }
}

/// The highest number of items that are tried in one step and refused again.
const MAX_REFUSED: usize = 64;

/// The share and the shares above it that have a limit.
fn limited(share: &Share) -> impl Iterator<Item = &Share> {
    share
        .and_above()
        .filter(|share| share.max_threads() != u64::MAX)
}
