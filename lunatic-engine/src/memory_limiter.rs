//! Holds an instance to its limits, and charges what it has.

use std::io;

use lunatic_account::{Account, Charge};
use wasmtime::{Error, ResourceLimiter, Result};

use crate::limits::{
    MEMORIES, MemoryLimits, STACK_REFERENCES_BYTES, TABLE_ELEMENT_BYTES, TABLE_ELEMENTS,
};
use crate::module_info::ModuleInfo;

/// Keeps an instance within its limits, and charges its memory to an account. It is
/// part of the state of the instance.
///
/// The engine asks for the initial size of a memory, a table or the heap of references, and for
/// each growth. It does not say which one it is, so the difference in size is charged.
#[derive(Debug, Default)]
pub struct MemoryLimiter {
    limits: MemoryLimits,
    charged: Option<Charged>,
    /// Bytes of all memories and of the heap.
    memory: u64,
    /// The latest growth of a memory that was allowed, in bytes.
    growth: u64,
    has_grown: bool,
}

/// The charges of an instance.
#[derive(Debug)]
struct Charged {
    charge: Charge,
    /// The bytes that are charged for memories that were not requested yet.
    memory_ahead: u64,
    /// The bytes that are charged for elements of tables that were not requested yet.
    elements_ahead: u64,
    /// The charge for references on the stacks when a heap is collected; `None` if there is no
    /// heap.
    references: Option<References>,
}

/// The charge for the references that are found on stacks when a heap is collected.
#[derive(Debug, Clone, Copy)]
struct References {
    /// The highest number of stacks at once.
    stacks: u32,
    /// Whether there may be any, as the heap is not empty any more.
    is_used: bool,
}

impl MemoryLimiter {
    /// The limiter of an instance that is not charged.
    pub fn new(limits: MemoryLimits) -> MemoryLimiter {
        MemoryLimiter {
            limits,
            ..MemoryLimiter::default()
        }
    }

    /// Limits of an instance whose growth is charged.
    ///
    /// - `charge`: what the instance begins with, which is
    ///   [`ModuleInfo::instance_bytes`], is in it already.
    pub fn charged(limits: MemoryLimits, charge: Charge, info: &ModuleInfo) -> MemoryLimiter {
        let charged = Charged {
            charge,
            memory_ahead: info.memory_minimum,
            elements_ahead: info.table_minimum,
            references: (info.tags > 0).then_some(References {
                stacks: 1,
                is_used: false,
            }),
        };
        MemoryLimiter {
            charged: Some(charged),
            ..MemoryLimiter::new(limits)
        }
    }

    /// Tells how many stacks the instance has now.
    ///
    /// If it has thrown an exception, what is kept for what may be found on them is charged, to the
    /// end of the instance; false if that is refused.
    pub fn charge_stacks(&mut self, stacks: u32) -> bool {
        self.charged
            .as_mut()
            .is_none_or(|charged| charged.charge_stacks(stacks))
    }

    /// The account that the instance is charged to; `None` if it is not charged.
    pub(crate) fn account(&self) -> Option<&Account> {
        Some(self.charged.as_ref()?.charge.account())
    }

    /// Whether the memory is larger than it was at first.
    pub(crate) fn has_grown(&self) -> bool {
        self.has_grown
    }

    /// The limits.
    pub fn limits(&self) -> &MemoryLimits {
        &self.limits
    }
}

impl Charged {
    /// Charges more memory; false if that is refused.
    ///
    /// - `current`: the current size, in bytes.
    fn grow_memory(&mut self, current: u64, bytes: u64) -> bool {
        let ahead = bytes.min(self.memory_ahead);
        let more = bytes - ahead;
        // It may be another memory that was empty, which is charged as if it was the heap.
        if current == 0 && more > 0 && !self.use_heap() {
            return false;
        }
        self.memory_ahead -= ahead;
        self.charge_more(more)
    }

    /// The heap is empty no more: charges what may be found on the stacks; false if that is
    /// refused.
    fn use_heap(&mut self) -> bool {
        let Some(References { stacks, is_used }) = self.references else {
            return true;
        };
        let is_used = is_used || self.charge_more(u64::from(stacks) * STACK_REFERENCES_BYTES);
        self.references = Some(References { stacks, is_used });
        is_used
    }

    fn charge_stacks(&mut self, now: u32) -> bool {
        let Some(References { stacks, is_used }) = self.references else {
            return true;
        };
        let more = now.saturating_sub(stacks);
        let is_allowed = !is_used || self.charge_more(u64::from(more) * STACK_REFERENCES_BYTES);
        if is_allowed {
            // A list keeps its capacity; without an exception there is no list.
            let stacks = if is_used { stacks.max(now) } else { now };
            self.references = Some(References { stacks, is_used });
        }
        is_allowed
    }

    /// Charges more elements of a table; false if that is refused.
    fn grow_table(&mut self, elements: u64) -> bool {
        let ahead = elements.min(self.elements_ahead);
        self.elements_ahead -= ahead;
        self.charge_more((elements - ahead) * TABLE_ELEMENT_BYTES)
    }

    fn charge_more(&mut self, bytes: u64) -> bool {
        let amount = self.charge.amount().saturating_add(bytes);
        bytes == 0 || self.charge.set(amount).is_ok()
    }

    /// Takes back what was charged for more memory. To charge less is never refused.
    fn take_back(&mut self, bytes: u64) {
        let amount = self.charge.amount().saturating_sub(bytes);
        self.charge.set(amount).ok();
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool> {
        let more = desired.saturating_sub(current) as u64;
        let total = self.memory.saturating_add(more);
        let is_allowed = total <= self.limits.max_memory
            // The engine would refuse it only after it was charged.
            && maximum.is_none_or(|maximum| desired <= maximum);
        let charged = self.charged.as_mut();
        let is_allowed =
            is_allowed && charged.is_none_or(|charged| charged.grow_memory(current as u64, more));
        if is_allowed {
            self.memory = total;
            self.growth = more;
        }
        // It is asked for what the memory begins with, too.
        self.has_grown |= is_allowed && current > 0 && more > 0;
        Ok(is_allowed)
    }

    fn memory_grow_failed(&mut self, error: Error) -> Result<()> {
        // That there is no room comes from where memories are, after the growth was allowed;
        // the engine has other errors, before it is.
        if error.is::<io::Error>() {
            let growth = std::mem::take(&mut self.growth);
            self.memory -= growth;
            if let Some(charged) = &mut self.charged {
                charged.take_back(growth);
            }
        }
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool> {
        let is_allowed =
            desired < TABLE_ELEMENTS && maximum.is_none_or(|maximum| desired <= maximum);
        let more = desired.saturating_sub(current) as u64;
        let charged = self.charged.as_mut();
        Ok(is_allowed && charged.is_none_or(|charged| charged.grow_table(more)))
    }

    fn instances(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        1
    }

    fn memories(&self) -> usize {
        MEMORIES
    }
}

#[cfg(test)]
mod tests {
    use lunatic_account::{Account, AccountLimits, Kind};

    use super::*;

    const PAGE: usize = 64 << 10;

    /// The limiter of an instance whose memory begins with a page, and its account.
    fn charged(max_memory: u64) -> (Account, MemoryLimiter) {
        let account = Account::root(AccountLimits::default());
        let info = ModuleInfo {
            memories: 1,
            memory_minimum: PAGE as u64,
            ..ModuleInfo::default()
        };
        let charge = Charge::new(&account, Kind::Memory, info.instance_bytes()).expect("no limit");
        let mut limiter = MemoryLimiter::charged(MemoryLimits { max_memory }, charge, &info);
        assert!(grows(&mut limiter, 0, PAGE, None));
        assert_eq!(account.used(Kind::Memory), info.instance_bytes());
        (account, limiter)
    }

    fn grows(limiter: &mut MemoryLimiter, from: usize, to: usize, maximum: Option<usize>) -> bool {
        limiter
            .memory_growing(from, to, maximum)
            .expect("an answer")
    }

    #[test]
    fn each_of_several_memories_is_charged() {
        let (account, mut limiter) = charged(MemoryLimits::DEFAULT_MAX_MEMORY);
        let before = account.used(Kind::Memory);
        // A heap, which begins empty and is smaller than the memory when it has grown.
        assert!(grows(&mut limiter, 0, 0, None));
        assert!(grows(&mut limiter, 0, PAGE, None));
        assert!(grows(&mut limiter, PAGE, 3 * PAGE, None));
        assert_eq!(account.used(Kind::Memory), before + 3 * PAGE as u64);
    }

    #[test]
    fn all_memories_together_have_the_limit() {
        let (_, mut limiter) = charged(3 * PAGE as u64);
        assert!(grows(&mut limiter, 0, PAGE, None));
        assert!(!grows(&mut limiter, PAGE, 3 * PAGE, None));
        assert!(grows(&mut limiter, PAGE, 2 * PAGE, None));
        assert!(!grows(&mut limiter, 0, PAGE, None));
    }

    #[test]
    fn what_a_memory_may_not_have_by_its_type_is_not_charged() {
        let (account, mut limiter) = charged(MemoryLimits::DEFAULT_MAX_MEMORY);
        let before = account.used(Kind::Memory);
        for _ in 0..3 {
            assert!(!grows(&mut limiter, PAGE, 3 * PAGE, Some(2 * PAGE)));
        }
        assert_eq!(account.used(Kind::Memory), before);
        assert!(limiter.table_growing(0, 3, Some(3)).expect("an answer"));
        let before = account.used(Kind::Memory);
        assert!(!limiter.table_growing(3, 4, Some(3)).expect("an answer"));
        assert_eq!(account.used(Kind::Memory), before);
    }

    #[test]
    fn what_a_collection_finds_on_stacks_is_charged_with_the_first_exception() {
        let account = Account::root(AccountLimits::default());
        let info = ModuleInfo {
            memories: 1,
            memory_minimum: PAGE as u64,
            tags: 1,
            ..ModuleInfo::default()
        };
        let charge = Charge::new(&account, Kind::Memory, info.instance_bytes()).expect("no limit");
        let mut limiter = MemoryLimiter::charged(MemoryLimits::default(), charge, &info);
        let before = info.instance_bytes();
        let stack = STACK_REFERENCES_BYTES;
        let page = PAGE as u64;
        let used = |more: u64| assert_eq!(account.used(Kind::Memory), before + more);
        assert!(grows(&mut limiter, 0, 0, None));
        assert!(grows(&mut limiter, 0, PAGE, None));
        assert!(limiter.charge_stacks(2));
        assert!(limiter.charge_stacks(1));
        used(0);
        assert!(grows(&mut limiter, 0, PAGE, None));
        used(page + stack);
        assert!(grows(&mut limiter, PAGE, 2 * PAGE, None));
        assert!(limiter.charge_stacks(2));
        used(2 * page + 2 * stack);
        // A list keeps its capacity.
        assert!(limiter.charge_stacks(3));
        assert!(limiter.charge_stacks(1));
        used(2 * page + 3 * stack);
        drop(limiter);
        assert_eq!(account.used(Kind::Memory), 0);
    }

    #[test]
    fn growth_for_which_there_is_no_room_is_given_back_once() {
        let (account, mut limiter) = charged(MemoryLimits::DEFAULT_MAX_MEMORY);
        let before = account.used(Kind::Memory);
        assert!(grows(&mut limiter, PAGE, 3 * PAGE, None));
        let no_room = || Error::from(io::Error::other("no room"));
        for _ in 0..2 {
            limiter.memory_grow_failed(no_room()).expect("no trap");
            assert_eq!(account.used(Kind::Memory), before);
        }
        // Growth that the engine refuses without having asked.
        assert!(grows(&mut limiter, PAGE, 2 * PAGE, None));
        let of_type = Error::msg("memory growth exceeds memory type's limits");
        limiter.memory_grow_failed(of_type).expect("no trap");
        assert_eq!(account.used(Kind::Memory), before + PAGE as u64);
    }
}
