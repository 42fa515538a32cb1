//! What SQLite computes counts for an account that has a limit of CPU time.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod common;

use std::time::{Duration, Instant};

use async_io::Timer;
use common::run;
use futures_lite::FutureExt;
use lunatic_account::{Account, AccountLimits, Kind};
use lunatic_sqlite::{Connection, Place, SqliteLimits};

#[test]
fn what_sqlite_takes_counts_and_nothing_begins_while_the_account_has_no_time() {
    run(async {
        let account = Account::root(AccountLimits {
            // To open a database takes more than that.
            cpu: 100,
            ..AccountLimits::default()
        });
        let limits = SqliteLimits::default();
        let opening = Connection::open_charged(Place::Memory, limits, Some(&account));
        let connection = opening.await.unwrap();
        while account.cpu_delay(Instant::now()).is_zero() {
            Timer::after(Duration::from_millis(1)).await;
        }

        account.use_cpu(Instant::now(), Duration::from_secs(3600));
        let executing = async { Some(connection.execute("SELECT 1").await) };
        let later = async {
            Timer::after(Duration::from_millis(300)).await;
            None
        };
        assert!(executing.or(later).await.is_none());

        // Nobody has to wait for that time until it is closed.
        drop(connection);
        while account.used(Kind::Memory) > 0 {
            Timer::after(Duration::from_millis(1)).await;
        }
    });
}
