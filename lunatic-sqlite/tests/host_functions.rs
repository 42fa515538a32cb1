//! The namespace `lunatic::sqlite`, called by a guest.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_lite::future::block_on;
use lunatic_abi::{AbiHost, ErrorTable, HostFunction, Misuse};
use lunatic_account::{Account, AccountLimits, Charge, Kind};
use lunatic_fs::{Access, Dir};
use lunatic_mailbox::guest::{GuestMailbox, MailboxHost, Post};
use lunatic_mailbox::{Limits, Mailbox, Message, Pid, SendError, Tag};
use lunatic_sqlite::SqliteLimits;
use lunatic_sqlite::guest::{GuestSqlite, SqliteHost};
use lunatic_testkit::guest::{self, args};
use parking_lot::Mutex;
use wasmtime::{Memory, Val};

/// Where the tests put things in guest memory, which has two pages.
const ID: u32 = 0;
const LENGTH: u32 = 16;
const TEXT: u32 = 1024;
const DATA: u32 = 40_000;
const END: u32 = 2 * 65536;
/// Where `lunatic_alloc` begins.
const HEAP: u32 = 70_000;

const ROW: u32 = 100;
const DONE: u32 = 101;

struct Host {
    sqlite: GuestSqlite,
    mailbox: GuestMailbox<Sent>,
    memory: Option<Memory>,
    errors: ErrorTable,
    account: Account,
    dir: Option<Dir>,
}

#[derive(Clone, Default)]
struct Sent(Arc<Mutex<Vec<Message>>>);

impl Post for Sent {
    fn deliver(&mut self, _: Pid, message: &mut Option<Message>) -> Result<(), SendError> {
        self.0.lock().extend(message.take());
        Ok(())
    }
}

impl AbiHost for Host {
    fn memory(&self) -> Option<Memory> {
        self.memory
    }

    fn account(&self) -> &Account {
        &self.account
    }

    fn errors(&mut self) -> &mut ErrorTable {
        &mut self.errors
    }
}

impl MailboxHost for Host {
    type Post = Sent;

    fn mailbox(&mut self) -> &mut GuestMailbox<Sent> {
        &mut self.mailbox
    }
}

impl SqliteHost for Host {
    fn sqlite(&mut self) -> &mut GuestSqlite {
        &mut self.sqlite
    }

    fn pid(&self) -> Pid {
        Pid::from_bits(1)
    }

    fn find_file(&self, path: &str) -> Option<(Dir, PathBuf)> {
        Some((self.dir.clone()?, path.into()))
    }

    fn begin_call(&mut self) -> Result<Charge, Misuse> {
        const STACK_BYTES: u64 = 1 << 20;
        let charge = Charge::new(self.account(), Kind::LinearMemory, STACK_BYTES);
        charge.map_err(Misuse::Exceeded)
    }

    fn end_call(&mut self) {}
}

/// A process.
struct Guest {
    instance: guest::Guest<Host>,
    sent: Sent,
    account: Account,
}

impl Guest {
    fn new(dir: Option<&Path>) -> Guest {
        Guest::with(dir, SqliteLimits::default(), AccountLimits::UNLIMITED)
    }

    fn with(dir: Option<&Path>, limits: SqliteLimits, account: AccountLimits) -> Guest {
        let lists: [&[HostFunction]; 2] = [
            lunatic_sqlite::guest::HOST_FUNCTIONS,
            lunatic_abi::HOST_FUNCTIONS,
        ];
        let module = guest::forwarding(lists.into_iter().flatten(), 2);
        // A bump allocator, as simple as there is.
        let alloc = format!(
            "(global $heap (mut i32) (i32.const {HEAP}))
            (func (export \"lunatic_alloc\") (param $len i32) (result i32)
                (global.get $heap)
                (global.set $heap (i32.add (global.get $heap) (local.get $len)))
                (if (i32.gt_u (global.get $heap) (i32.const {END}))
                    (then (global.set $heap (i32.const {HEAP})))))"
        );
        let module = module.replace("(memory (export", &format!("{alloc}(memory (export"));
        Guest::of_module(&module, dir, limits, Account::root(account))
    }

    fn of_module(
        module: &str,
        dir: Option<&Path>,
        limits: SqliteLimits,
        account: Account,
    ) -> Guest {
        let sent = Sent::default();
        let open = |path: &Path| block_on(Dir::open_host(path, Access::ReadWrite)).unwrap();
        let (_, mailbox) = Mailbox::new(Limits::default());
        let host = Host {
            sqlite: GuestSqlite::new(Arc::new(limits)),
            mailbox: GuestMailbox::new(mailbox, sent.clone()),
            memory: None,
            errors: ErrorTable::new(),
            account: account.clone(),
            dir: dir.map(open),
        };
        let register = |linker: &mut wasmtime::Linker<Host>| {
            lunatic_abi::add_to_linker(linker)?;
            lunatic_sqlite::guest::add_to_linker(linker)
        };
        let set_memory = |host: &mut Host, memory| host.memory = Some(memory);
        Guest {
            instance: guest::Guest::new(module, host, register, set_memory),
            sent,
            account,
        }
    }

    fn try_call(&mut self, name: &str, params: &[Val]) -> wasmtime::Result<Option<Val>> {
        lunatic_testkit::wait(name, self.instance.invoke(name, params))
    }

    fn call(&mut self, name: &str, params: &[Val]) -> Option<Val> {
        self.try_call(name, params).unwrap()
    }

    fn call_u32(&mut self, name: &str, params: &[Val]) -> u32 {
        self.call(name, params).unwrap().unwrap_i32() as u32
    }

    fn call_u64(&mut self, name: &str, params: &[Val]) -> u64 {
        self.call(name, params).unwrap().unwrap_i64() as u64
    }

    /// The text of the trap of a call.
    #[track_caller]
    fn trap(&mut self, name: &str, params: &[Val]) -> String {
        let outcome = self.try_call(name, params);
        format!("{:#}", outcome.expect_err("the call traps"))
    }

    fn text(&mut self, text: &str) -> (u32, u32) {
        self.instance.put(TEXT, text.as_bytes());
        (TEXT, text.len() as u32)
    }

    fn try_open(&mut self, path: &str) -> Result<u64, String> {
        let (ptr, len) = self.text(path);
        let result = self.call_u64("open", &args![ptr, len, ID]);
        let id = self.instance.take_u64(ID);
        match result {
            0 => Ok(id),
            1 => {
                let size = self.call_u32("string_size", &args![id]);
                self.call("to_string", &args![id, DATA]);
                let text = self.instance.take(DATA, size);
                self.call("drop", &args![id]);
                Err(String::from_utf8(text).unwrap())
            }
            other => panic!("{other} is no result of open"),
        }
    }

    fn open(&mut self, path: &str) -> u64 {
        self.try_open(path).unwrap()
    }

    fn execute(&mut self, connection: u64, sql: &str) -> u32 {
        let (ptr, len) = self.text(sql);
        self.call_u32("execute", &args![connection, ptr, len])
    }

    fn query(&mut self, connection: u64, sql: &str) -> u64 {
        let (ptr, len) = self.text(sql);
        self.call_u64("query_prepare", &args![connection, ptr, len])
    }

    fn step(&mut self, statement: u64) -> u32 {
        self.call_u32("sqlite3_step", &args![statement])
    }

    /// What a function writes into memory that the guest allocates.
    fn given(&mut self, name: &str, params: &[Val]) -> Vec<u8> {
        self.instance.put(LENGTH, &[0xee; 8]);
        let address = self.call_u32(name, params);
        // Four bytes, not eight.
        let length = self.instance.take_u64(LENGTH);
        assert_eq!(length >> 32, 0xeeee_eeee);
        self.instance.take(address, length as u32)
    }

    fn row(&mut self, statement: u64) -> Vec<lunatic_sqlite::Value> {
        let row = self.given("read_row", &args![statement, LENGTH]);
        lunatic_sqlite::read_row(&row).unwrap()
    }

    fn last_error(&mut self, connection: u64) -> (u32, String) {
        let error = self.given("last_error", &args![connection, LENGTH]);
        assert_eq!((error[0], error[5]), (1, 1));
        let code = u32::from_le_bytes(error[1..5].try_into().unwrap());
        let length = u64::from_le_bytes(error[6..14].try_into().unwrap()) as usize;
        assert_eq!(error.len(), 14 + length);
        (code, String::from_utf8(error[14..].to_vec()).unwrap())
    }

    fn bind(&mut self, statement: u64, values: &[u8]) {
        self.instance.put(DATA, values);
        self.call("bind_value", &args![statement, DATA, values.len() as u32]);
    }
}

/// A list of values to bind.
fn bindings(entries: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut bytes = (entries.len() as u64).to_le_bytes().to_vec();
    for (key, value) in entries {
        bytes.extend(*key);
        bytes.extend(*value);
    }
    bytes
}

fn number(number: u64) -> Vec<u8> {
    [&1_u32.to_le_bytes()[..], &number.to_le_bytes()].concat()
}

fn name(name: &str) -> Vec<u8> {
    tagged_bytes(2, name.as_bytes())
}

fn tagged_bytes(tag: u32, bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_le_bytes();
    [&tag.to_le_bytes()[..], &length, bytes].concat()
}

fn int64(number: i64) -> Vec<u8> {
    [&5_u32.to_le_bytes()[..], &number.to_le_bytes()].concat()
}

use lunatic_sqlite::Value::{Blob, Double, Integer, Null, Text};

#[test]
fn a_guest_makes_a_table_and_reads_what_it_has_put_in() {
    let folder = tempfile::tempdir().unwrap();
    let mut guest = Guest::new(Some(folder.path()));
    let connection = guest.open("a.db");
    assert_eq!(connection, 0);
    assert_eq!(
        guest.execute(connection, "CREATE TABLE t (a, b); -- and no more"),
        0
    );
    let insert = guest.query(connection, "INSERT INTO t VALUES (?, :b)");
    for number_of_row in 0..3 {
        let key = number(1);
        let values = bindings(&[
            (&key, &int64(number_of_row)),
            (&name(":b"), &tagged_bytes(2, b"text")),
        ]);
        guest.bind(insert, &values);
        assert_eq!(guest.step(insert), DONE);
        assert_eq!(guest.call_u32("sqlite3_changes", &args![connection]), 1);
    }
    guest.call("sqlite3_finalize", &args![insert]);
    let select = guest.query(connection, "SELECT a, b AS name, NULL, x'0001', 1.5 FROM t");
    assert_eq!(guest.call_u32("column_count", &args![select]), 5);
    let names = guest.given("column_name", &args![select, 1, LENGTH]);
    assert_eq!(names, b"name");
    let names = guest.given("column_names", &args![select, LENGTH]);
    assert_eq!(names[..17], *b"\x05\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0a");
    for row in 0..3 {
        assert_eq!(guest.step(select), ROW);
        let expected = [
            Integer(row),
            Text("text".into()),
            Null,
            Blob(vec![0, 1]),
            Double(1.5),
        ];
        assert_eq!(guest.row(select), expected);
        let value = guest.given("read_column", &args![select, 0, LENGTH]);
        assert_eq!(
            value,
            [&4_u32.to_le_bytes()[..], &row.to_le_bytes()].concat()
        );
        let value = guest.given("read_column", &args![select, 5, LENGTH]);
        assert_eq!(value, [0; 4]);
    }
    assert_eq!(guest.step(select), DONE);
    assert_eq!(guest.row(select), []);
    assert_eq!(guest.step(select), ROW);
    guest.call("statement_reset", &args![select]);
    assert_eq!(guest.step(select), ROW);
    assert_eq!(guest.row(select)[0], Integer(0));
}

#[test]
fn mistakes_are_results_with_the_message_of_sqlite() {
    let mut guest = Guest::new(None);
    let connection = guest.open(":memory:");
    guest.trap("last_error", &args![connection, LENGTH]);
    // C7: a mistake in a statement does not trap.
    let wrong = guest.query(connection, "SELEC 1");
    let syntax = (1, "near \"SELEC\": syntax error".to_owned());
    assert_eq!(guest.last_error(connection), syntax);
    assert_eq!(guest.step(wrong), 1);
    assert_eq!(guest.last_error(connection), syntax);
    assert_eq!(guest.call_u32("column_count", &args![wrong]), 0);
    let right = guest.query(connection, "SELECT 1");
    guest.trap("last_error", &args![connection, LENGTH]);
    assert_eq!(guest.step(right), ROW);
    assert_eq!(guest.last_error(connection).0, ROW);
    assert_eq!(guest.step(right), DONE);
    assert_eq!(guest.last_error(connection).0, DONE);
    assert_eq!(guest.execute(connection, "CREATE TABLE t (a NOT NULL)"), 0);
    guest.trap("last_error", &args![connection, LENGTH]);
    assert_eq!(guest.execute(connection, "INSERT INTO t VALUES (NULL)"), 19);
    let constraint = (19, "NOT NULL constraint failed: t.a".to_owned());
    assert_eq!(guest.last_error(connection), constraint);
    assert_eq!(guest.call_u32("error_code", &args![connection]), 1299);
    let size = guest.call_u32("error_message", &args![connection, DATA, 0]);
    assert_eq!(size as usize, constraint.1.len());
    guest.call_u32("error_message", &args![connection, DATA, size]);
    assert_eq!(guest.instance.take(DATA, size), constraint.1.as_bytes());
    let insert = guest.query(connection, "INSERT INTO t VALUES (?)");
    assert_eq!(guest.step(insert), 19);
    let values = bindings(&[(&number(1), &int64(1))]);
    guest.bind(insert, &values);
    assert_eq!(guest.step(insert), DONE);
}

#[test]
fn what_is_refused_when_it_is_bound_is_the_result_of_the_step() {
    let mut guest = Guest::new(None);
    let connection = guest.open("");
    let statement = guest.query(connection, "SELECT ?1, :name");
    let one = bindings(&[
        (&0_u32.to_le_bytes(), &int64(7)),
        (&name(":name"), &int64(8)),
    ]);
    guest.bind(statement, &one);
    assert_eq!(guest.step(statement), ROW);
    // By name, and not all to the first (C7).
    assert_eq!(guest.row(statement), [Integer(7), Integer(8)]);
    guest.bind(statement, &one);
    assert_eq!(guest.step(statement), 21);
    guest.bind(statement, &one);
    assert_eq!(guest.step(statement), ROW);
}

#[test]
fn parameters_that_are_not_there_are_results() {
    let mut guest = Guest::new(None);
    let connection = guest.open("");
    for key in [
        number(0),
        number(3),
        number(u64::MAX),
        name(":other"),
        name("name"),
        name(""),
    ] {
        let statement = guest.query(connection, "SELECT ?1, :name");
        guest.bind(statement, &bindings(&[(&key, &int64(1))]));
        assert_eq!(guest.step(statement), 25, "{key:?}");
        assert_eq!(guest.last_error(connection).0, 25);
    }
}

#[test]
fn data_to_bind_that_cannot_be_read_traps() {
    let mut guest = Guest::new(None);
    let connection = guest.open("");
    let statement = guest.query(connection, "SELECT ?1");
    let good = bindings(&[(&number(1), &tagged_bytes(2, "ü".as_bytes()))]);
    let mut bad = vec![
        vec![],
        vec![0xff; 8],
        vec![0xff; 64],
        b"\x01\0\0\0\0\0\0\0".to_vec(),
    ];
    for length in 0..good.len() {
        bad.push(good[..length].to_vec());
    }
    for at in [8, 20, 24, 32, 33] {
        let mut changed = good.clone();
        changed[at] = 0xf7;
        bad.push(changed);
    }
    for bad in bad {
        guest.instance.put(DATA, &bad);
        guest.trap("bind_value", &args![statement, DATA, bad.len() as u32]);
        guest.trap("bind", &args![statement, DATA, bad.len() as u32]);
    }
    guest.trap("bind_value", &args![statement, END - 4, 8]);
    guest.trap("bind_value", &args![statement, 0, u32::MAX]);
    guest.bind(statement, &good);
    assert_eq!(guest.step(statement), ROW);
}

#[test]
fn ids_that_are_not_there_and_bad_addresses_trap() {
    let mut guest = Guest::new(None);
    let connection = guest.open(":memory:");
    let statement = guest.query(connection, "SELECT 1");
    for id in [1_u64, 7, u64::MAX] {
        for (name, params) in [
            ("execute", args![id, TEXT, 0].to_vec()),
            ("query_prepare", args![id, TEXT, 0].to_vec()),
            ("sqlite3_changes", args![id].to_vec()),
            ("last_error", args![id, LENGTH].to_vec()),
            ("close", args![id].to_vec()),
            ("changes", args![id].to_vec()),
            ("last_insert_rowid", args![id].to_vec()),
            ("in_transaction", args![id].to_vec()),
            ("set_busy_timeout", args![id, 1_u64].to_vec()),
            ("set_query_time", args![id, 1_u64].to_vec()),
            ("error_code", args![id].to_vec()),
            ("error_message", args![id, DATA, 0].to_vec()),
            ("prepare", args![id, TEXT, 0, ID].to_vec()),
            ("watch", args![id, TEXT, 0, 1_u64, ID].to_vec()),
            ("blob_size", args![id, TEXT, 1, TEXT, 1, 1_u64, ID].to_vec()),
            ("bind_value", args![id, DATA, 0].to_vec()),
            ("bind", args![id, DATA, 0].to_vec()),
            ("fetch", args![id, DATA, 0, LENGTH].to_vec()),
            ("names", args![id, DATA, 0].to_vec()),
            ("sqlite3_step", args![id].to_vec()),
            ("statement_reset", args![id].to_vec()),
            ("sqlite3_finalize", args![id].to_vec()),
            ("column_count", args![id].to_vec()),
            ("read_column", args![id, 0, LENGTH].to_vec()),
            ("read_row", args![id, LENGTH].to_vec()),
            ("column_name", args![id, 0, LENGTH].to_vec()),
            ("column_names", args![id, LENGTH].to_vec()),
            ("unwatch", args![id].to_vec()),
        ] {
            let trap = guest.trap(name, &params);
            assert!(trap.contains(&format!("with id {id}")), "{name}: {trap}");
        }
    }
    for (name, params) in [
        ("open", args![END - 1, 2, ID].to_vec()),
        ("open", args![TEXT, 0, END - 7].to_vec()),
        ("execute", args![connection, u32::MAX, 1].to_vec()),
        ("execute", args![connection, 0, u32::MAX].to_vec()),
        ("query_prepare", args![connection, END, 1].to_vec()),
        ("read_row", args![statement, END - 3].to_vec()),
        ("read_column", args![statement, 0, u32::MAX].to_vec()),
        ("column_names", args![statement, END].to_vec()),
        ("column_name", args![statement, 1, LENGTH].to_vec()),
        ("fetch", args![statement, END - 3, 4, LENGTH].to_vec()),
        ("fetch", args![statement, DATA, 4, END - 3].to_vec()),
        ("names", args![statement, END, 1].to_vec()),
        ("error_message", args![connection, END, 1].to_vec()),
    ] {
        guest.trap(name, &params);
    }
    guest.instance.put(TEXT, &[0xff]);
    guest.trap("execute", &args![connection, TEXT, 1]);
    guest.trap("query_prepare", &args![connection, TEXT, 1]);
    guest.trap("open", &args![TEXT, 1, ID]);
    assert_eq!(guest.step(statement), ROW);
}

#[test]
fn a_result_needs_an_allocator_of_the_right_kind() {
    let functions = lunatic_sqlite::guest::HOST_FUNCTIONS;
    let none = guest::forwarding(functions, 2);
    let with = |alloc: &str| none.replace("(memory (export", &format!("{alloc}(memory (export"));
    let modules = [
        none.clone(),
        with("(func (export \"lunatic_alloc\") (param i64) (result i32) (i32.const 0))"),
        with("(func (export \"lunatic_alloc\") (param i32))"),
        with("(global (export \"lunatic_alloc\") i32 (i32.const 0))"),
        with("(func (export \"lunatic_alloc\") (param i32) (result i32) unreachable)"),
        with("(tag $t) (func (export \"lunatic_alloc\") (param i32) (result i32) (throw $t))"),
        with("(func (export \"lunatic_alloc\") (param i32) (result i32) (i32.const -1))"),
        with("(func (export \"lunatic_alloc\") (param i32) (result i32) (i32.const 131071))"),
        with(
            "(func (export \"lunatic_alloc\") (param i32) (result i32)
                (call $read_row (i64.const 0) (i32.const 16)))",
        ),
    ];
    for module in modules {
        let limits = SqliteLimits::default();
        let mut guest = Guest::of_module(
            &module,
            None,
            limits,
            Account::root(AccountLimits::UNLIMITED),
        );
        let connection = guest.open("");
        let statement = guest.query(connection, "SELECT 1");
        assert_eq!(guest.step(statement), ROW);
        guest.trap("read_row", &args![statement, LENGTH]);
        guest.trap("read_row", &args![statement, LENGTH]);
        // What allocates nothing works.
        assert_eq!(guest.step(statement), DONE);
    }
}

#[test]
fn files_are_found_in_directories_of_the_process_only() {
    let folder = tempfile::tempdir().unwrap();
    let mut without = Guest::new(None);
    let error = without.try_open("a.db").unwrap_err();
    assert!(error.contains("none of the directories"), "{error}");
    without.open(":memory:");
    let mut guest = Guest::new(Some(folder.path()));
    for path in ["../a.db", "/etc/passwd", ".", "a\0b", "x.db-wal"] {
        let error = guest.try_open(path).unwrap_err();
        assert!(error.starts_with("unable to open database file"), "{error}");
        assert!(!error.contains("/proc/"), "{error}");
    }
    let error = guest.try_open(&"x".repeat(5000)).unwrap_err();
    assert!(error.contains("too long"), "{error}");
}

#[test]
fn a_connection_is_closed_with_its_statements() {
    let folder = tempfile::tempdir().unwrap();
    let mut guest = Guest::new(Some(folder.path()));
    let (a, b) = (guest.open("a.db"), guest.open("a.db"));
    assert_eq!(guest.execute(a, "CREATE TABLE t (x); BEGIN IMMEDIATE"), 0);
    assert_eq!(guest.call_u32("in_transaction", &args![a]), 1);
    assert_eq!(guest.execute(a, "INSERT INTO t VALUES (1)"), 0);
    assert_eq!(guest.call_u64("last_insert_rowid", &args![a]), 1);
    let (of_a, of_b) = (
        guest.query(a, "SELECT * FROM t"),
        guest.query(b, "SELECT * FROM t"),
    );
    assert_eq!(guest.step(of_a), ROW);
    guest.call("close", &args![a]);
    guest.trap("sqlite3_step", &args![of_a]);
    guest.trap("close", &args![a]);
    assert_eq!(guest.step(of_b), DONE);
    assert_eq!(guest.execute(b, "INSERT INTO t VALUES (2)"), 0);
}

#[test]
fn connections_and_statements_have_limits_and_are_charged() {
    let folder = tempfile::tempdir().unwrap();
    let limits = SqliteLimits {
        max_connections: 3,
        max_statements: 4,
        ..SqliteLimits::default()
    };
    let mut guest = Guest::with(Some(folder.path()), limits, AccountLimits::UNLIMITED);
    let first = guest.open("a.db");
    guest.open("b.db");
    guest.open(":memory:");
    assert_eq!(guest.account.used(Kind::Descriptors), 6);
    assert!(guest.account.used(Kind::Memory) >= (3 * 768) << 10);
    let error = guest.try_open(":memory:").unwrap_err();
    assert!(error.contains("as many as it may"), "{error}");
    for _ in 0..4 {
        guest.query(first, "SELECT 1");
    }
    guest.trap("query_prepare", &args![first, TEXT, 1]);
    guest.call("sqlite3_finalize", &args![0_u64]);
    guest.query(first, "SELECT 1");
    let account = guest.account.clone();
    drop(guest);
    // They are charged until they are closed.
    lunatic_testkit::wait_until("nothing is charged", || {
        account.used(Kind::Memory) == 0 && account.used(Kind::Descriptors) == 0
    });

    let small = AccountLimits {
        memory: 1 << 20,
        descriptors: 4,
        ..AccountLimits::UNLIMITED
    };
    let mut guest = Guest::with(Some(folder.path()), SqliteLimits::default(), small);
    let connection = guest.open("a.db");
    assert!(guest.try_open("b.db").is_err());
    assert!(guest.try_open("").is_err());
    // Rows that were read ahead are charged too.
    let statement = guest.query(connection, "SELECT zeroblob(900000)");
    assert_eq!(guest.step(statement), 7);
    let statement = guest.query(connection, "SELECT zeroblob(9000)");
    assert_eq!(guest.step(statement), ROW);
    guest.call("close", &args![connection]);
    let memory = guest.open("");
    assert_eq!(guest.execute(memory, "CREATE TABLE t (a)"), 0);
    assert_eq!(
        guest.execute(memory, "INSERT INTO t VALUES (zeroblob(2000000))"),
        7
    );
}

#[test]
fn the_text_that_is_run_is_charged_while_it_waits() {
    const LIMIT: u64 = 2 << 20;
    let limits = AccountLimits {
        memory: LIMIT,
        ..AccountLimits::UNLIMITED
    };
    let mut guest = Guest::with(None, SqliteLimits::default(), limits);
    let connection = guest.open("");
    let long = format!("SELECT 1 -- {}", "x".repeat(20_000));
    assert_eq!(guest.execute(connection, &long), 0);
    let left = LIMIT - guest.account.used(Kind::Memory) - 16_000;
    let taken = Charge::new(&guest.account, Kind::Memory, left).unwrap();
    assert_eq!(guest.execute(connection, "SELECT 1"), 0);
    assert_eq!(guest.execute(connection, &long), 7);
    let (ptr, len) = guest.text(&long);
    let prepared = guest.call_u32("prepare", &args![connection, ptr, len, ID]);
    assert_eq!(prepared, 7);
    drop(taken);
    assert_eq!(guest.execute(connection, &long), 0);
}

#[test]
fn rows_are_fetched_as_far_as_they_fit() {
    let mut guest = Guest::new(None);
    let connection = guest.open("");
    let (ptr, len) = guest.text("SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 'three'");
    assert_eq!(
        guest.call_u32("prepare", &args![connection, ptr, len, ID]),
        0
    );
    let statement = guest.instance.take_u64(ID);
    let size = guest.call_u32("names", &args![statement, DATA, 0]);
    assert_eq!(size, 8 + 8 + 1);
    // A row with a number has 20 bytes.
    assert_eq!(
        guest.call_u32("fetch", &args![statement, DATA, 19, LENGTH]),
        9028
    );
    assert_eq!(guest.instance.take_u32(LENGTH), 20);
    assert_eq!(
        guest.call_u32("fetch", &args![statement, DATA, 41, LENGTH]),
        ROW
    );
    assert_eq!(guest.instance.take_u32(LENGTH), 40);
    let second = guest.instance.take(DATA + 20, 20);
    assert_eq!(lunatic_sqlite::read_row(&second), Ok(vec![Integer(2)]));
    assert_eq!(
        guest.call_u32("fetch", &args![statement, DATA, 20, LENGTH]),
        9028
    );
    assert_eq!(guest.instance.take_u32(LENGTH), 25);
    assert_eq!(
        guest.call_u32("fetch", &args![statement, DATA, 100, LENGTH]),
        ROW
    );
    assert_eq!(
        guest.call_u32("fetch", &args![statement, DATA, 100, LENGTH]),
        DONE
    );
    assert_eq!(guest.instance.take_u32(LENGTH), 0);
    let (ptr, len) = guest.text("SELECT nothing");
    assert_eq!(
        guest.call_u32("prepare", &args![connection, ptr, len, ID]),
        1
    );
}

#[test]
fn blobs_are_read_and_written_in_pieces() {
    let mut guest = Guest::new(None);
    let connection = guest.open("");
    let sql = "CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(2000000))";
    assert_eq!(guest.execute(connection, sql), 0);
    guest.instance.put(TEXT, b"ta");
    let place = |rest: &[Val]| {
        let names = args![connection, TEXT, 1, TEXT + 1, 1, 1_i64];
        [&names[..], rest].concat()
    };
    assert_eq!(guest.call_u32("blob_size", &place(&args![ID])), 0);
    assert_eq!(guest.instance.take_u64(ID), 2_000_000);
    guest.instance.put(DATA, b"piece");
    let at = 1_999_995_u64;
    assert_eq!(
        guest.call_u32("blob_write", &place(&args![at, DATA, 5, LENGTH])),
        0
    );
    assert_eq!(guest.instance.take_u32(LENGTH), 5);
    assert_ne!(
        guest.call_u32("blob_write", &place(&args![at + 1, DATA, 5, LENGTH])),
        0
    );
    assert_eq!(
        guest.call_u32("blob_read", &place(&args![at - 1, DATA, 100, LENGTH])),
        0
    );
    assert_eq!(guest.instance.take_u32(LENGTH), 6);
    assert_eq!(guest.instance.take(DATA, 6), b"\0piece");
    assert_eq!(
        guest.call_u32("blob_read", &place(&args![u64::MAX, DATA, 9, LENGTH])),
        0
    );
    assert_eq!(guest.instance.take_u32(LENGTH), 0);
    guest.trap("blob_read", &place(&args![0_u64, END - 8, 9, LENGTH]));
    guest.trap(
        "blob_size",
        &args![connection, TEXT, 2000, TEXT, 1, 1_i64, ID],
    );
    let missing = args![connection, TEXT, 1, TEXT, 1, 7_i64, ID];
    assert_ne!(guest.call_u32("blob_size", &missing), 0);
}

#[test]
fn a_watch_tells_of_what_others_commit() {
    let folder = tempfile::tempdir().unwrap();
    let mut watching = Guest::new(Some(folder.path()));
    let mut other = Guest::new(Some(folder.path()));
    let connection = watching.open("a.db");
    assert_eq!(watching.execute(connection, "CREATE TABLE t (a)"), 0);
    let (ptr, len) = watching.text("t");
    assert_eq!(
        watching.call_u32("watch", &args![connection, ptr, len, 7_i64, ID]),
        0
    );
    let watch = watching.instance.take_u64(ID);
    let writing = other.open("a.db");
    assert_eq!(other.execute(writing, "INSERT INTO t VALUES (1), (2)"), 0);
    // It is told before its connection does anything else.
    assert_eq!(watching.execute(connection, "SELECT 1"), 0);
    let Some(Message::Data(message)) = watching.sent.0.lock().pop() else {
        panic!("a message was sent");
    };
    assert_eq!(message.tag(), Tag::new(7));
    let expected = [
        &[watch, 2, 0, 0, 2].map(u64::to_le_bytes).concat()[..],
        b"t",
    ]
    .concat();
    assert_eq!(message.bytes(), expected);
    watching.call("unwatch", &args![watch]);
    assert_eq!(other.execute(writing, "INSERT INTO t VALUES (3)"), 0);
    assert_eq!(watching.execute(connection, "SELECT 1"), 0);
    assert!(watching.sent.0.lock().is_empty());
}

#[test]
fn a_process_that_ends_leaves_neither_locks_nor_what_it_has_not_committed() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = Guest::new(Some(folder.path()));
    let connection = first.open("a.db");
    assert_eq!(
        first.execute(connection, "CREATE TABLE t (a); BEGIN IMMEDIATE"),
        0
    );
    assert_eq!(first.execute(connection, "INSERT INTO t VALUES (1)"), 0);
    let select = first.query(connection, "SELECT * FROM t");
    assert_eq!(first.step(select), ROW);
    drop(first);
    let mut second = Guest::new(Some(folder.path()));
    let connection = second.open("a.db");
    assert_eq!(second.execute(connection, "INSERT INTO t VALUES (2)"), 0);
    let select = second.query(connection, "SELECT a FROM t");
    assert_eq!(second.step(select), ROW);
    assert_eq!(second.row(select), [Integer(2)]);
    assert_eq!(second.step(select), DONE);
}

#[test]
fn rows_that_were_read_ahead_and_statements_that_have_begun_are_charged_and_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut guest = Guest::new(Some(folder.path()));
    let connection = guest.open("a.db");
    let rows = "CREATE TABLE t (a); INSERT INTO t SELECT hex(randomblob(100)) FROM
        (WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 5000) SELECT i FROM n)";
    assert_eq!(guest.execute(connection, rows), 0);
    let many = format!("SELECT a{} FROM t", " || a".repeat(50));
    let select = guest.query(connection, &many);
    let reset = |guest: &mut Guest| {
        guest.call("statement_reset", &args![select]);
    };
    let end = |guest: &mut Guest| {
        while guest.step(select) == ROW {}
    };
    // The cache of the connection is as large as it becomes, and the name of the column known.
    end(&mut guest);
    let before = guest.account.used(Kind::Memory);
    let ends: [&dyn Fn(&mut Guest); 2] = [&reset, &end];
    for end in ends {
        assert_eq!(guest.step(select), ROW);
        // A row of 10 000 bytes.
        let begun = guest.account.used(Kind::Memory);
        assert!(begun > before + 9_000, "{begun} {before}");
        end(&mut guest);
        let ended = guest.account.used(Kind::Memory);
        assert_eq!(ended, before);
    }
    assert_eq!(guest.step(select), ROW);
    guest.call("sqlite3_finalize", &args![select]);
    assert!(guest.account.used(Kind::Memory) < before);

    // Of an account with little memory, a statement that has begun is refused and ended.
    let little = AccountLimits {
        memory: (768 << 10) + 20_000,
        ..AccountLimits::UNLIMITED
    };
    let mut poor = Guest::with(Some(folder.path()), SqliteLimits::default(), little);
    let connection = poor.open("a.db");
    let select = poor.query(connection, &many);
    assert_eq!(poor.step(select), 7);
    // No lock is left.
    let other = guest.open("a.db");
    assert_eq!(guest.execute(other, "DELETE FROM t"), 0);
    let few = poor.query(connection, "SELECT count(*) FROM t");
    assert_eq!(poor.step(few), ROW);
    assert_eq!(poor.row(few), [Integer(0)]);
}

#[test]
fn a_large_schema_is_charged() {
    let folder = tempfile::tempdir().unwrap();
    let mut guest = Guest::new(Some(folder.path()));
    let connection = guest.open("a.db");
    let before = guest.account.used(Kind::Memory);
    assert_eq!(guest.execute(connection, "BEGIN"), 0);
    for first in (0..5000).step_by(500) {
        let table = |number: usize| format!("CREATE TABLE t{number} (a, b, c);");
        let create: String = (first..first + 500).map(table).collect();
        assert_eq!(guest.execute(connection, &create), 0);
    }
    assert_eq!(guest.execute(connection, "COMMIT"), 0);
    assert!(guest.account.used(Kind::Memory) > before + 500_000);
    guest.call("close", &args![connection]);
    let little = AccountLimits {
        memory: 1 << 20,
        ..AccountLimits::UNLIMITED
    };
    let mut poor = Guest::with(Some(folder.path()), SqliteLimits::default(), little);
    let connection = poor.open("a.db");
    assert_eq!(poor.execute(connection, "SELECT * FROM t1"), 7);
}

#[test]
fn rows_arrive_in_order_whatever_a_guest_does_between_its_steps() {
    let folder = tempfile::tempdir().unwrap();
    let mut guest = Guest::new(Some(folder.path()));
    let connection = guest.open("a.db");
    let rows = "CREATE TABLE t (a INTEGER PRIMARY KEY);
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000)
            INSERT INTO t SELECT i FROM n";
    assert_eq!(guest.execute(connection, rows), 0);
    let select = guest.query(connection, "SELECT a FROM t");
    let insert = guest.query(connection, "INSERT INTO t VALUES (NULL) RETURNING a");
    for row in 1..=300 {
        assert_eq!(guest.step(select), ROW);
        if row % 10 == 0 {
            // Others are run, bound and looked at meanwhile.
            assert_eq!(guest.step(insert), ROW);
            assert_eq!(guest.row(insert), [Integer(1000 + row / 10)]);
            assert_eq!(guest.step(insert), DONE);
            assert_eq!(guest.call_u64("changes", &args![connection]), 1);
            assert_eq!(guest.call_u32("in_transaction", &args![connection]), 0);
            guest.instance.put(DATA, b"ta");
            let size = args![connection, DATA, 1, DATA + 1, 1, 1_i64, ID];
            // An integer is no blob.
            assert_ne!(guest.call_u32("blob_size", &size), 0);
        }
        assert_eq!(guest.row(select), [Integer(row)]);
    }
    assert_eq!(guest.call_u32("column_count", &args![select]), 1);
    // To bind to it is refused, and ends it: it begins again.
    guest.bind(select, &bindings(&[]));
    assert_eq!(guest.step(select), ROW);
    assert_eq!(guest.row(select), [Integer(301)]);
    guest.call("statement_reset", &args![select]);
    assert_eq!(guest.step(select), ROW);
    assert_eq!(guest.row(select), [Integer(1)]);
}

#[test]
fn values_for_which_there_is_no_memory_are_not_bound_and_nothing_else_is_released_for_them() {
    let limits = AccountLimits {
        memory: 2 << 20,
        ..AccountLimits::UNLIMITED
    };
    let mut guest = Guest::with(None, SqliteLimits::default(), limits);
    let connection = guest.open("");
    let empty = guest.account.used(Kind::Memory);
    let values = bindings(&[(&number(1), &tagged_bytes(1, &[7; 80_000]))]);
    let (mut bound, mut refused) = (Vec::new(), Vec::new());
    for _ in 0..40 {
        let statement = guest.query(connection, "SELECT ?1");
        guest.instance.put(DATA, &values);
        match guest.call_u32("bind", &args![statement, DATA, values.len() as u32]) {
            0 => bound.push(statement),
            7 => refused.push(statement),
            other => panic!("{other} is no result of bind"),
        }
    }
    assert!(bound.len() > 5 && refused.len() > 10, "{}", bound.len());
    let full = guest.account.used(Kind::Memory);
    for statement in &refused {
        guest.bind(*statement, &values);
        // What was refused is the result of the step.
        assert_eq!(guest.step(*statement), 7);
        guest.call("sqlite3_finalize", &args![*statement]);
    }
    // They gave back no more than they had, which is their text.
    let kept = guest.account.used(Kind::Memory);
    assert!(kept >= empty + 80_000 * bound.len() as u64, "{kept} {full}");
    for statement in bound.split_off(2) {
        guest.call("sqlite3_finalize", &args![statement]);
    }
    // There is memory again, and nothing that was refused is bound.
    let statement = guest.query(connection, "SELECT ?1");
    assert_eq!(guest.step(statement), ROW);
    assert_eq!(guest.row(statement), [Null]);
}

#[test]
fn more_values_than_a_statement_has_parameters_are_refused_before_they_are_read() {
    let list: &[HostFunction] = lunatic_sqlite::guest::HOST_FUNCTIONS;
    let module = guest::forwarding(list.iter(), 8);
    let account = Account::root(AccountLimits::UNLIMITED);
    let mut guest = Guest::of_module(&module, None, SqliteLimits::default(), account);
    let connection = guest.open("");
    let statement = guest.query(connection, "SELECT ?32766");
    for (count, step) in [(32_766_usize, ROW), (32_767, 25)] {
        let mut values = (count as u64).to_le_bytes().to_vec();
        values.resize(8 + 8 * count, 0);
        guest.bind(statement, &values);
        assert_eq!(guest.step(statement), step);
        guest.call("statement_reset", &args![statement]);
    }
}

#[test]
fn a_guest_pays_for_a_result_while_it_allocates_memory_for_it() {
    let list: &[HostFunction] = lunatic_sqlite::guest::HOST_FUNCTIONS;
    let module = guest::forwarding(list.iter(), 2);
    let alloc =
        format!("(func (export \"lunatic_alloc\") (param i32) (result i32) (i32.const {HEAP}))");
    let module = module.replace("(memory (export", &format!("{alloc}(memory (export"));
    // There is room for a row, and not for another stack.
    let limits = AccountLimits {
        memory: (768 << 10) + 64_000,
        ..AccountLimits::UNLIMITED
    };
    let root = Account::root(AccountLimits::UNLIMITED);
    let account = root.branch(limits).unwrap();
    let mut guest = Guest::of_module(&module, None, SqliteLimits::default(), account);
    let connection = guest.open("");
    let statement = guest.query(connection, "SELECT zeroblob(1000)");
    assert_eq!(guest.step(statement), ROW);
    let used = guest.account.used(Kind::Memory);
    let trap = guest.trap("read_row", &args![statement, LENGTH]);
    assert!(trap.contains("memory"), "{trap}");
    assert_eq!(guest.account.used(Kind::Memory), used);
    assert_eq!(guest.account.used(Kind::LinearMemory), 0);
}
