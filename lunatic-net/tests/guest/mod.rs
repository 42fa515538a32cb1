//! A guest that tests steer: it calls the host functions one by one.
//!
//! The module imports all of them and exports a wrapper for each, so that a test
//! calls the host through real WebAssembly code and real guest memory. Whether
//! they have the types of the ABI, `cargo xtask tidy` finds out.

#![allow(dead_code, unreachable_pub)] // Each test file uses another part of it.

use std::mem;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_lite::future::block_on;
use lunatic_abi::{AbiHost, ErrorTable, HostFunction};
use lunatic_account::Account;
use lunatic_mailbox::guest::{GuestMailbox, MailboxHost, Post};
use lunatic_mailbox::{Limits, Mailbox, Message, Pid, SendError};
use lunatic_net::guest::{GuestNet, NetHost};
use lunatic_net::{Listeners, NetConfig};
use lunatic_testkit::guest;
pub use lunatic_testkit::guest::args;
use wasmtime::{Linker, Memory, Val};

/// The functions that the module imports: those of this crate, and those on
/// messages and errors.
fn imports() -> impl Iterator<Item = &'static HostFunction> {
    let lists = [
        lunatic_net::guest::HOST_FUNCTIONS,
        lunatic_mailbox::guest::HOST_FUNCTIONS,
        lunatic_abi::HOST_FUNCTIONS,
    ];
    lists.into_iter().flatten()
}

/// Where tests put things in guest memory.
pub mod at {
    pub const ID: u32 = 0;
    pub const PEER: u32 = 8;
    pub const ADDRESS: u32 = 16;
    pub const PORT: u32 = 40;
    pub const FLOW_INFO: u32 = 44;
    pub const SCOPE_ID: u32 = 48;
    pub const KIND: u32 = 52;
    pub const RECORDS: u32 = 64;
    pub const NAME: u32 = 512;
    pub const DATA: u32 = 1024;
    pub const TEXT: u32 = 40_000;
    pub const PAGES: u32 = 2;
    pub const END: u32 = PAGES * 65536;
}

pub const NEVER: u64 = u64::MAX;
pub const TIMED_OUT: i32 = 9027;

/// The state of a process in a test.
pub struct Host {
    net: GuestNet,
    listeners: Listeners,
    account: Account,
    mailbox: GuestMailbox<SentMessages>,
    memory: Option<Memory>,
    errors: ErrorTable,
    pub waits: Waits,
}

/// Whether waits of a process are interrupted, and how many that could be have ended.
#[derive(Clone, Default)]
pub struct Waits {
    pub interrupted: Arc<AtomicBool>,
    pub ended: Arc<AtomicUsize>,
}

/// Keeps what is sent.
#[derive(Clone, Default)]
pub struct SentMessages(Arc<Mutex<Vec<Message>>>);

impl Post for SentMessages {
    fn deliver(&mut self, _: Pid, message: &mut Option<Message>) -> Result<(), SendError> {
        self.0.lock().expect("no panic").extend(message.take());
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

    fn is_interrupted(&self) -> bool {
        self.waits.interrupted.load(Ordering::Relaxed)
    }

    fn end_interruptible(&mut self) {
        self.waits.interrupted.store(false, Ordering::Relaxed);
        self.waits.ended.fetch_add(1, Ordering::Relaxed);
    }
}

impl MailboxHost for Host {
    type Post = SentMessages;

    fn mailbox(&mut self) -> &mut GuestMailbox<SentMessages> {
        &mut self.mailbox
    }
}

impl NetHost for Host {
    fn net(&mut self) -> &mut GuestNet {
        &mut self.net
    }

    fn listeners(&self) -> &Listeners {
        &self.listeners
    }
}

/// A process.
pub struct Guest {
    instance: guest::Guest<Host>,
    sent: SentMessages,
}

impl Deref for Guest {
    type Target = guest::Guest<Host>;

    fn deref(&self) -> &guest::Guest<Host> {
        &self.instance
    }
}

impl DerefMut for Guest {
    fn deref_mut(&mut self) -> &mut guest::Guest<Host> {
        &mut self.instance
    }
}

impl Guest {
    /// A process that may do everything.
    pub fn new() -> Guest {
        Guest::with(NetConfig::default())
    }

    /// A process with this config.
    pub fn with(config: NetConfig) -> Guest {
        Guest::in_root(config, &Listeners::new(), &Account::default())
    }

    /// A process of a root with this config, charged to an account.
    pub fn in_root(config: NetConfig, listeners: &Listeners, account: &Account) -> Guest {
        Guest::of(GuestNet::new(Arc::new(config)), listeners, account)
    }

    /// New code of a process, which has not accepted it yet.
    pub fn attempt(&self) -> Guest {
        let Host {
            net,
            listeners,
            account,
            ..
        } = self.store.data();
        let net = net.successor(account).expect("room");
        Guest::of(net, listeners, account)
    }

    /// Accepts new code: this is all of the process then.
    pub fn accept_in_place_of(&mut self, mut old: Guest) {
        let old = &mut old.store.data_mut().net;
        let nothing = GuestNet::new(old.config().clone());
        let old = mem::replace(old, nothing);
        self.store.data_mut().net.join(old);
    }

    fn of(net: GuestNet, listeners: &Listeners, account: &Account) -> Guest {
        let sent = SentMessages::default();
        let (_, mailbox) = Mailbox::new(Limits::default());
        let host = Host {
            net,
            listeners: listeners.clone(),
            account: account.clone(),
            mailbox: GuestMailbox::new(mailbox, sent.clone()),
            memory: None,
            errors: ErrorTable::new(),
            waits: Waits::default(),
        };
        let register = |linker: &mut Linker<Host>| {
            lunatic_abi::add_to_linker(linker)?;
            lunatic_mailbox::guest::add_to_linker(linker)?;
            lunatic_net::guest::add_to_linker(linker)
        };
        let module = guest::forwarding(imports(), at::PAGES);
        let instance = guest::Guest::new(&module, host, register, |host, memory| {
            host.memory = Some(memory);
        });
        Guest { instance, sent }
    }

    /// A process with a TCP stream, and the other end of it.
    pub fn with_stream() -> (Guest, u64, TcpStream) {
        let mut guest = Guest::new();
        let (listener, address) = guest.bind("tcp");
        let peer = TcpStream::connect(address).expect("the guest listens");
        let stream = guest.accept("tcp", listener);
        (guest, stream, peer)
    }

    /// Calls an export that returns an `i32` and does not trap.
    pub async fn code_async(&mut self, name: &str, params: &[Val]) -> i32 {
        let result = self.invoke(name, params).await.expect("no trap");
        result.expect("a result").unwrap_i32()
    }

    /// Calls an export that returns an `i32` and does not trap.
    pub fn code(&mut self, name: &str, params: &[Val]) -> i32 {
        block_on(self.code_async(name, params))
    }

    /// Calls an export that returns an `i64` and does not trap.
    pub fn number(&mut self, name: &str, params: &[Val]) -> u64 {
        let result = block_on(self.invoke(name, params)).expect("no trap");
        result.expect("a result").unwrap_i64() as u64
    }

    /// Calls an export that returns nothing and does not trap.
    pub fn run(&mut self, name: &str, params: &[Val]) {
        block_on(self.invoke(name, params)).expect("no trap");
    }

    /// Calls an export that traps; why it does.
    #[track_caller]
    pub fn trap(&mut self, name: &str, params: &[Val]) -> String {
        let error = block_on(self.invoke(name, params)).expect_err("a trap");
        format!("{error:#}")
    }

    /// Has the next wait end early, if it is one that can.
    pub fn interrupt(&mut self) {
        let waits = &self.store.data().waits;
        waits.interrupted.store(true, Ordering::Relaxed);
    }

    /// The id that the last call wrote.
    pub fn id(&mut self) -> u64 {
        self.take_u64(at::ID)
    }

    /// The text of the error whose id the last call wrote; it is dropped.
    pub fn error(&mut self) -> String {
        let id = self.id();
        let size = self.code("string_size", &args![id]) as u32;
        self.run("to_string", &args![id, at::TEXT]);
        self.run("drop", &args![id]);
        String::from_utf8(self.take(at::TEXT, size)).expect("UTF-8")
    }

    /// Puts an address into memory; the five arguments for it.
    pub fn address(&mut self, address: SocketAddr) -> [Val; 5] {
        let kind = match address.ip() {
            IpAddr::V4(ip) => {
                self.put(at::ADDRESS, &ip.octets());
                4
            }
            IpAddr::V6(ip) => {
                self.put(at::ADDRESS, &ip.octets());
                6
            }
        };
        args![kind, at::ADDRESS, u32::from(address.port()), 0, 0]
    }

    /// Takes all addresses out of an iterator and drops it.
    pub fn addresses(&mut self, iterator: u64) -> Vec<SocketAddr> {
        let mut addresses = Vec::new();
        let params = args![
            iterator,
            at::KIND,
            at::ADDRESS,
            at::PORT,
            at::FLOW_INFO,
            at::SCOPE_ID
        ];
        while self.code("resolve_next", &params) == 0 {
            let octets = self.take(at::ADDRESS, 16);
            let ip: IpAddr = match self.take_u32(at::KIND) {
                4 => <[u8; 4]>::try_from(&octets[..4]).expect("four").into(),
                6 => <[u8; 16]>::try_from(&octets[..]).expect("sixteen").into(),
                other => panic!("kind {other}"),
            };
            let port = u16::from_le_bytes(self.take(at::PORT, 2).try_into().expect("two"));
            addresses.push((ip, port).into());
        }
        self.run("drop_dns_iterator", &args![iterator]);
        addresses
    }

    /// Calls a function on an id that writes the id of an iterator.
    pub fn address_of(&mut self, function: &str, id: u64) -> SocketAddr {
        assert_eq!(self.code(function, &args![id, at::ID]), 0);
        let iterator = self.id();
        self.addresses(iterator)[0]
    }

    /// Binds 127.0.0.1; the id, and where it is.
    pub fn bind(&mut self, kind: &str) -> (u64, SocketAddr) {
        let mut params = self
            .address("127.0.0.1:0".parse().expect("an address"))
            .to_vec();
        params.extend(args![at::ID]);
        assert_eq!(self.code(&format!("{kind}_bind"), &params), 0);
        let id = self.id();
        (id, self.address_of(&format!("{kind}_local_addr"), id))
    }

    /// The parameters of a function that binds this address.
    pub fn bind_params(&mut self, address: SocketAddr) -> Vec<Val> {
        let mut params = self.address(address).to_vec();
        params.extend(args![at::ID]);
        params
    }

    /// Connects a TCP stream; what comes of it.
    pub fn connect(&mut self, address: SocketAddr, timeout: u64) -> i32 {
        let mut params = self.address(address).to_vec();
        params.extend(args![timeout, at::ID]);
        self.code("tcp_connect", &params)
    }

    /// Accepts a connection; the id of the stream.
    pub fn accept(&mut self, kind: &str, listener: u64) -> u64 {
        let params = args![listener, at::ID, at::PEER];
        assert_eq!(self.code(&format!("{kind}_accept"), &params), 0);
        let peer = self.take_u64(at::PEER);
        self.addresses(peer);
        self.id()
    }

    /// Puts buffers and a vector of them into memory; its address and length.
    pub fn vector(&mut self, buffers: &[&[u8]]) -> (u32, u32) {
        let mut address = at::DATA;
        for (index, buffer) in buffers.iter().enumerate() {
            self.put(address, buffer);
            let record = at::RECORDS + index as u32 * 8;
            self.put(record, &address.to_le_bytes());
            self.put(record + 4, &(buffer.len() as u32).to_le_bytes());
            address += buffer.len() as u32;
        }
        (at::RECORDS, buffers.len() as u32)
    }

    /// Writes; what comes of it.
    pub fn write(&mut self, kind: &str, stream: u64, buffers: &[&[u8]]) -> i32 {
        let (vector, length) = self.vector(buffers);
        let params = args![stream, vector, length, at::ID];
        self.code(&format!("{kind}_write_vectored"), &params)
    }

    /// Reads; the bytes, or what else comes of it.
    pub fn read(&mut self, function: &str, id: u64, length: u32) -> Result<Vec<u8>, i32> {
        match self.code(function, &args![id, at::DATA, length, at::ID]) {
            0 => {
                let count = self.id() as u32;
                Ok(self.take(at::DATA, count))
            }
            code => Err(code),
        }
    }

    /// Sends the message in scratch to another process, into its scratch.
    pub fn send_to(&mut self, other: &mut Guest) {
        assert_eq!(self.code("send", &args![1_u64]), 0);
        let message = self.sent.0.lock().expect("no panic").pop();
        other
            .store
            .data_mut()
            .mailbox
            .put(message.expect("a message"));
    }

    /// Puts a shared copy of the message in scratch into the scratch of another process.
    pub fn share_with(&mut self, other: &mut Guest) {
        let message = self.store.data_mut().mailbox.data();
        let copy = message.expect("a message").shared();
        let copy = copy.expect("all can be shared").into();
        other.store.data_mut().mailbox.put(copy);
    }
}
