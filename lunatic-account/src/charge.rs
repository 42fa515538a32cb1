//! An amount that is released when it is dropped.

use std::mem;

use crate::account::{Account, Exceeded};
use crate::kind::Kind;

/// An amount that is charged to an account until this is dropped.
#[derive(Debug)]
#[must_use = "dropping a charge releases it"]
pub struct Charge {
    account: Account,
    kind: Kind,
    amount: u64,
}

impl Charge {
    /// Charges an amount.
    ///
    /// # Errors
    ///
    /// [`Exceeded`].
    pub fn new(account: &Account, kind: Kind, amount: u64) -> Result<Charge, Exceeded> {
        account.charge(kind, amount)?;
        Ok(Charge {
            account: account.clone(),
            kind,
            amount,
        })
    }

    /// A charge of nothing, which can become more.
    ///
    /// ```
    /// use lunatic_account::{Account, Charge, Kind};
    ///
    /// let account = Account::default();
    /// let mut charge = Charge::empty(&account, Kind::Memory);
    /// assert_eq!(charge.amount(), 0);
    /// charge.set(10)?;
    /// assert_eq!(account.used(Kind::Memory), 10);
    /// # Ok::<(), lunatic_account::Exceeded>(())
    /// ```
    pub fn empty(account: &Account, kind: Kind) -> Charge {
        Charge {
            account: account.clone(),
            kind,
            amount: 0,
        }
    }

    /// Charges an amount that is there already, even if that is more than a limit allows; see
    /// [`Account::charge_beyond_limits`].
    pub fn beyond_limits(account: &Account, kind: Kind, amount: u64) -> Charge {
        account.charge_beyond_limits(kind, amount);
        Charge {
            account: account.clone(),
            kind,
            amount,
        }
    }

    /// How much is charged.
    pub fn amount(&self) -> u64 {
        self.amount
    }

    /// To whom.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Charges another amount instead.
    ///
    /// # Errors
    ///
    /// [`Exceeded`] if it is more and that is refused; the charge stays as it was.
    pub fn set(&mut self, amount: u64) -> Result<(), Exceeded> {
        match amount.checked_sub(self.amount) {
            Some(more) => self.account.charge(self.kind, more)?,
            None => self.account.release(self.kind, self.amount - amount),
        }
        self.amount = amount;
        Ok(())
    }

    /// Takes an amount out of this charge, at most all of it. Nothing is charged anew.
    pub fn split(&mut self, amount: u64) -> Charge {
        let amount = amount.min(self.amount);
        self.amount -= amount;
        Charge {
            account: self.account.clone(),
            kind: self.kind,
            amount,
        }
    }

    /// Adds what another charge has charged. Nothing is charged anew.
    ///
    /// # Panics
    ///
    /// Panics if the other charge is of another kind.
    pub fn join(&mut self, mut other: Charge) {
        assert_eq!(self.kind, other.kind, "charges of one kind are joined");
        debug_assert!(self.account.is_within(&other.account));
        self.amount += mem::take(&mut other.amount);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let amount = mem::take(&mut self.amount);
        self.account.release(self.kind, amount);
    }
}
