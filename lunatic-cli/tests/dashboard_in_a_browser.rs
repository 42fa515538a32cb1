//! The dashboard in a headless Chromium. Without one, these tests are skipped loudly.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]
#![allow(clippy::print_stdout, reason = "what is measured is told")]

mod harness;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use futures_lite::future;
use harness::program::Guests;
use harness::runtimes::Running;
use harness::shop::Shop;
use lunatic_cli::{Admin, Root, Runtime};
use lunatic_dashboard::{Dashboard, Options};
use lunatic_process::{Process, SpawnOptions};
use lunatic_testkit::browser::Browser;
use lunatic_testkit::built::rust_guests;
use lunatic_testkit::program::first_line;
use lunatic_testkit::wait_until;

/// Names the file that a picture of the dashboard is written to.
const PICTURE: &str = "LUNATIC_SCREENSHOT";

/// `examples/diner`, with a dashboard.
struct Diner {
    _directory: Guests,
    _running: Running,
    url: String,
    /// Where the waiter listens.
    address: String,
}

impl Diner {
    fn open(options: &[&str]) -> Option<Diner> {
        let modules = rust_guests(&["waiter.wasm", "cook.wasm"])?;
        let manifest = include_str!("../../examples/diner/app.toml");
        let written = "../../target/guests/wasm32-wasip1/release";
        let manifest = manifest.replace(written, modules.to_str().unwrap());
        let directory = Guests::new();
        directory.file("app.toml", manifest);
        let mut child = directory
            .lunatic()
            .args(["start", "--no-admin", "--dashboard", "0"])
            .args(options)
            .arg("app.toml")
            .env("DINER_ADDRESS", "127.0.0.1:0")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let opened = first_line(&mut child);
        let address = opened
            .trim()
            .trim_start_matches("the diner is open: http://");
        let mut errors = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = errors.next().unwrap().unwrap();
        // Or the runtime would wait for somebody to read it.
        std::thread::spawn(move || errors.for_each(drop));
        let url = line.strip_prefix("dashboard: ").unwrap().to_owned();
        Some(Diner {
            _directory: directory,
            _running: Running(child),
            url,
            address: address.trim_end_matches('/').to_owned(),
        })
    }

    /// Has the waiter do something for a while.
    fn work(&self, time: Duration) {
        let begun = Instant::now();
        let mut orders = 0;
        while begun.elapsed() < time {
            let dish = if orders % 1500 == 1499 {
                "fugu"
            } else {
                "soup"
            };
            let request = format!("GET /cook/{dish} HTTP/1.1\r\nConnection: close\r\n\r\n");
            let mut stream = TcpStream::connect(&self.address).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            stream.read_to_end(&mut Vec::new()).ok();
            orders += 1;
            // More at some times than at others.
            let busy = begun.elapsed().as_secs() % 12 < 7;
            std::thread::sleep(Duration::from_millis(if busy { 1 } else { 12 }));
        }
    }
}

/// A runtime in this program, with a dashboard.
struct Shown {
    runtime: Runtime,
    dashboard: Dashboard,
}

impl Shown {
    fn start() -> Shown {
        let runtime = Runtime::builder().start().unwrap();
        let address = "127.0.0.1:0".parse().unwrap();
        let admin = Admin::new(&runtime);
        let dashboard = Dashboard::start(address, Options::default(), admin).unwrap();
        Shown { runtime, dashboard }
    }

    fn spawn(&self, label: &str) -> Process {
        let options = SpawnOptions {
            label: Some(label.into()),
            ..SpawnOptions::default()
        };
        let environment = self.runtime.environment();
        environment
            .spawn(options, |own| async move {
                let _kept = own;
                future::pending().await
            })
            .unwrap()
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        future::block_on(self.runtime.shut_down());
    }
}

/// The node of the tree with a name.
fn node(name: &str) -> String {
    format!(
        "[...document.querySelectorAll('.node')].find((node) => \
         node.querySelector('b').textContent === '{name}')"
    )
}

#[test]
fn the_tree_appears_and_a_killed_cook_comes_back_on_it_within_a_second() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let Some(diner) = Diner::open(&["--dashboard-write"]) else {
        return;
    };
    browser.open(&format!("{}#tree", diner.url));
    let cook = node("cook-2");
    let pid = format!("{cook}.querySelector('a').textContent");
    browser.wait_for(&format!("/^[0-9]+$/.test({pid})"));
    // It hangs below the kitchen, and that below the application.
    let path = browser.eval(&format!(
        "(() => {{ const names = []; \
         for (let item = {cook}.closest('li'); item; \
              item = item.parentElement.closest('li')) \
             names.push(item.querySelector('b').textContent); \
         return names.join(' < '); }})()"
    ));
    assert_eq!(path, "cook-2 < kitchen < app");
    let before = browser.eval(&pid);

    // The token is neither in the address nor in the history.
    assert_eq!(browser.eval("location.search"), "");
    assert_eq!(browser.eval("document.cookie"), "");

    // Killed by the keyboard alone, and seen to come back.
    browser.eval(&format!("{cook}.querySelector('a').click()"));
    browser.wait_for("document.getElementById('action-kill').offsetParent");
    browser.eval("document.getElementById('action-kill').focus()");
    browser.press("Enter");
    browser.wait_for("document.getElementById('question').open");
    assert_eq!(browser.eval("document.activeElement.textContent"), "Cancel");
    browser.press("Escape");
    browser.wait_for("!document.getElementById('question').open");
    browser.eval("location.hash = '#tree'");
    browser.wait_for(&pid);
    assert_eq!(browser.eval(&pid), before, "nobody has confirmed it");

    let kill = format!("change('/api/kill?pid=' + {pid}).then(() => true)");
    assert_eq!(browser.eval(&kill), true);
    let came_back = browser.wait_for(&format!(
        "/^[0-9]+$/.test({pid}) && {pid} !== {before} && {cook}.classList.contains('flash') && \
         {cook}.textContent.includes('restarted once')"
    ));
    assert!(came_back < Duration::from_secs(1), "{came_back:?}");
    assert_eq!(
        browser.eval("document.querySelectorAll('.node.flash').length"),
        1,
        "nothing else flashes"
    );
}

#[test]
fn without_the_right_to_write_there_is_no_button_and_no_request_is_done() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let shown = Shown::start();
    let process = shown.spawn("kept");
    browser.open(&format!(
        "{}#process/{}",
        shown.dashboard.url(),
        process.id()
    ));
    browser.wait_for("document.body.innerText.includes('kept')");
    assert_eq!(
        browser.eval("document.querySelectorAll('#process-actions button').length"),
        0
    );
    let status = browser.eval(&format!(
        "fetch('/api/kill?pid={}', {{method: 'POST'}}).then((answer) => answer.status)",
        process.id()
    ));
    assert_eq!(status, 403);
    assert!(shown.runtime.environment().exists(process.id()));
}

#[test]
fn a_hostile_label_stays_text() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let shown = Shown::start();
    let hostile =
        "<script>window.hurt = 1</script><img src=x onerror='window.hurt = 1'>\n\u{1b}[2J";
    let process = shown.spawn(hostile);
    shown.spawn(&format!("{}</td>", "x".repeat(1 << 20)));
    let url = shown.dashboard.url();
    browser.open(&format!("{url}#processes"));
    let visible = "<script>window.hurt = 1</script><img src=x onerror='window.hurt = 1'>\
                   \\u{a}\\u{1b}[2J";
    let visible = serde_json::to_string(visible).unwrap();
    browser.wait_for(&format!(
        "[...document.querySelectorAll('#table .label')].some((cell) => \
         cell.textContent === {visible})"
    ));
    // Of a mebibyte, 256 bytes are told.
    browser.wait_for(
        "[...document.querySelectorAll('#table .label')].some((cell) => \
         cell.textContent.length === 257)",
    );
    browser.eval(&format!("location.hash = '#process/{}'", process.id()));
    browser.wait_for("document.getElementById('process-title').textContent.includes('<script>')");
    assert_eq!(browser.eval("window.hurt === undefined"), true);
    assert_eq!(
        browser.eval("document.querySelectorAll('main img, main script').length"),
        0
    );
    // And if it were taken for markup, the browser would not run it.
    let refused = browser.eval(
        "(() => { try { document.body.innerHTML = '<b>x</b>'; return false; } \
         catch { return true; } })()",
    );
    assert_eq!(refused, true);
}

/// Prints a line of markup, and a piece of a line, again and again.
const PRINTS: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write"
        (func $write (param i32 i32 i32 i32) (result i32)))
    (import "lunatic::process" "sleep_ms" (func $sleep (param i64)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\08\00\00\00\16\00\00\00<b>printed</b>\0ain part")
    (func (export "main")
        (loop $again
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 64)))
            (call $sleep (i64.const 20))
            (br $again))))"#;

#[test]
fn what_a_process_prints_is_shown_as_text_until_the_page_shows_something_else() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let shown = Shown::start();
    let process = future::block_on(async {
        let module = shown
            .runtime
            .load(PRINTS.as_bytes().to_vec())
            .await
            .unwrap();
        let root = Root::new("main");
        shown.runtime.spawn(&module, root).await.unwrap()
    });
    let url = shown.dashboard.url();
    browser.open(&format!("{url}#process/{}", process.id()));
    browser.wait_for("document.querySelector('#process-detail a[href^=\"#logs\"]')");
    browser.eval("document.querySelector('#process-detail a[href^=\"#logs\"]').click()");
    let lines = "[...document.querySelectorAll('#log li')].map((line) => line.textContent)";
    let id = process.id();
    browser.wait_for(&format!("{lines}.includes('{id} in part<b>printed</b>')"));
    assert_eq!(
        browser.eval("document.querySelectorAll('#log b').length"),
        0
    );
    process.kill();
    browser.wait_for(&format!(
        "{lines}.some((line) => line.startsWith('{id} has ended: '))"
    ));
    browser.eval("location.hash = '#overview'");
    wait_until("nobody to be told any more", || {
        !shown.runtime.environment().is_traced()
    });
}

#[test]
fn a_hundred_thousand_processes_are_paged_and_sorted() {
    const COUNT: usize = 100_000;
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let shown = Shown::start();
    let processes: Vec<_> = (0..COUNT).map(|n| shown.spawn(&format!("p{n}"))).collect();
    let fullest = &processes[77_777];
    for _ in 0..3 {
        fullest
            .send(lunatic_mailbox::DataMessage::default().into())
            .unwrap();
    }
    browser.open(&format!("{}#processes", shown.dashboard.url()));
    let range = "document.getElementById('range').textContent";
    browser.wait_for(&format!("{range} === '1–50 of 100,000'"));
    let next = "document.getElementById('next').click()";
    for page in 1..10 {
        browser.eval(next);
        let (first, last) = (page * 50 + 1, page * 50 + 50);
        let label = format!("p{}", first - 1);
        let taken = browser.wait_for(&format!(
            "{range} === '{first}–{last} of 100,000' && \
             document.querySelector('#table tbody .label').textContent === '{label}'"
        ));
        println!("page {page} took {taken:?}");
    }
    browser.eval("document.querySelectorAll('#table th button')[2].click()");
    let taken =
        browser.wait_for("document.querySelector('#table tbody .label').textContent === 'p77777'");
    println!("sorting by mailbox took {taken:?}");
    browser.eval(
        "const filter = document.getElementById('filter'); filter.value = 'P9999'; \
         filter.dispatchEvent(new Event('input'))",
    );
    let taken = browser.wait_for(&format!("{range} === '1–11 of 11'"));
    println!("filtering took {taken:?}");
}

#[test]
fn a_wrong_token_gets_nothing() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let shown = Shown::start();
    shown.spawn("secret");
    let address = shown.dashboard.address();
    for path in ["/", "/?token=x", "/events?view=processes", "/app.js"] {
        browser.open(&format!("http://{address}{path}"));
        browser.wait_for("document.body.innerText.includes('open the address')");
        let text = browser.eval("document.documentElement.textContent.length");
        assert!(text.as_u64().unwrap() < 100);
    }
}

#[test]
fn the_nodes_of_a_cluster_are_shown_and_one_that_is_killed_as_lost() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let shop = Shop::new();
    let (_one, url) = shop.start_showing("one", &["--dashboard", "0"], "dashboard: ");
    let two = shop.start("two", &[]);
    browser.open(&format!("{url}#nodes"));
    browser.wait_for(
        "document.getElementById('nodes-note').textContent === \
         'This is node one; it has a session with 1 others.'",
    );
    let row = "[...document.querySelectorAll('#peers tr')].find((row) => \
               row.cells[0].textContent === 'two')";
    browser.wait_for(&format!(
        "{row}?.cells[1].textContent.startsWith('127.0.0.1:')"
    ));
    // A round trip, and bytes both ways.
    let cell = |number: u32| format!("{row}.cells[{number}].textContent");
    browser.wait_for(&format!("/^[0-9.]+ (µs|ms|s)$/.test({})", cell(2)));
    for number in [4, 5] {
        browser.wait_for(&format!("/^[1-9][0-9.]* /.test({})", cell(number)));
    }
    drop(two);
    browser.wait_for(&format!("/^lost [0-9.]+ .*ago$/.test({})", cell(2)));
    browser
        .wait_for("document.getElementById('nodes-note').textContent.endsWith('with 0 others.')");
}

#[test]
fn it_fits_a_phone_in_light_and_dark_and_a_picture_can_be_made() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let Some(diner) = Diner::open(&[]) else {
        return;
    };
    browser.size(390, 800);
    browser.open(&format!("{}#overview", diner.url));
    browser.wait_for("document.getElementById('state').textContent === 'live'");
    browser.wait_for("document.querySelectorAll('#workers tr').length > 0");
    for view in ["overview", "processes", "tree", "modules", "logs", "nodes"] {
        browser.eval(&format!("location.hash = '#{view}'"));
        browser.wait_for(&format!("!document.getElementById('{view}').hidden"));
        let too_wide = browser
            .eval("document.documentElement.scrollWidth - document.documentElement.clientWidth");
        assert_eq!(too_wide, 0, "{view} is wider than a phone");
    }
    let back =
        |browser: &mut Browser| browser.eval("getComputedStyle(document.body).backgroundColor");
    browser.dark(true);
    let dark = back(&mut browser);
    browser.dark(false);
    assert_ne!(back(&mut browser), dark);

    browser.size(1180, 760);
    let picture_file = std::env::var_os(PICTURE);
    if picture_file.is_some() {
        // So that the graphs have something to show.
        diner.work(Duration::from_secs(75));
    }
    browser.eval("location.hash = '#overview'");
    browser.wait_for("document.querySelectorAll('#workers tr').length > 0");
    let picture = browser.picture();
    assert_eq!(picture[..8], *b"\x89PNG\r\n\x1a\n");
    assert!(picture.len() > 10_000, "there is something on it");
    if let Some(file) = picture_file {
        fs::write(file, picture).unwrap();
    }
}
