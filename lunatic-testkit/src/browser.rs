//! A headless Chromium that a test drives.
//!
//! A test controls it by the protocol of its developer tools, over a pipe, which needs no port and
//! no further library.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{TIMEOUT, skipped};

/// Names the program, if it is not one of the usual.
const VARIABLE: &str = "LUNATIC_CHROMIUM";

/// A browser with one page, which ends with this.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    next: u64,
    session: Option<String>,
    profile: PathBuf,
}

impl Browser {
    /// Starts one with an empty page. If there is none, it says that the test is skipped.
    ///
    /// # Panics
    ///
    /// Panics if it does not start.
    #[track_caller]
    pub fn start() -> Option<Browser> {
        let Some(program) = program() else {
            skipped(&format!(
                "there is no chromium; install Debian's `chromium`, or name one in {VARIABLE}"
            ));
            return None;
        };
        let profile = env::temp_dir().join(format!(
            "lunatic-browser-{}-{:?}",
            std::process::id(),
            thread::current().id()
        ));
        fs::create_dir_all(&profile).expect("a directory for a profile");
        // It reads and writes descriptors 3 and 4. The shell puts the pipes there.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$@\" 3<&0 4>&1 0</dev/null 1>/dev/null", "sh"])
            .arg(program)
            .args([
                "--headless=new",
                "--remote-debugging-pipe",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-extensions",
                "--no-first-run",
                "--hide-scrollbars",
            ])
            .arg(format!("--user-data-dir={}", profile.display()))
            // Its other temporary files are removed with the profile.
            .env("TMPDIR", &profile)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("a shell");
        let input = child.stdin.take().expect("a pipe");
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, messages) = mpsc::channel();
        thread::spawn(move || {
            let mut message = Vec::new();
            while matches!(output.read_until(0, &mut message), Ok(1..)) {
                message.pop();
                if let Ok(message) = serde_json::from_slice(&message)
                    && sender.send(message).is_err()
                {
                    return;
                }
                message.clear();
            }
        });
        let mut browser = Browser {
            child,
            input,
            messages,
            next: 0,
            session: None,
            profile,
        };
        let created = browser.command("Target.createTarget", json!({"url": "about:blank"}));
        let target = created["targetId"].clone();
        let attach = json!({"targetId": target, "flatten": true});
        let attached = browser.command("Target.attachToTarget", attach);
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        browser.size(1280, 900);
        Some(browser)
    }

    /// Opens an address in the page.
    ///
    /// # Panics
    ///
    /// Panics if the browser does not answer.
    #[track_caller]
    pub fn open(&mut self, url: &str) {
        self.command("Page.navigate", json!({"url": url}));
    }

    /// Sets the size of the page, in pixels.
    ///
    /// # Panics
    ///
    /// Panics if the browser does not answer.
    #[track_caller]
    pub fn size(&mut self, width: u32, height: u32) {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.command("Emulation.setDeviceMetricsOverride", size);
    }

    /// Sets whether the page is shown in dark mode.
    ///
    /// # Panics
    ///
    /// Panics if the browser does not answer.
    #[track_caller]
    pub fn dark(&mut self, dark: bool) {
        let scheme = if dark { "dark" } else { "light" };
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        self.command("Emulation.setEmulatedMedia", json!({"features": [feature]}));
    }

    /// Presses a key, `Tab` or `Enter` for example.
    ///
    /// # Panics
    ///
    /// Panics if the browser does not answer.
    #[track_caller]
    pub fn press(&mut self, key: &str) {
        let code = match key {
            "Enter" => 13,
            "Tab" => 9,
            "Escape" => 27,
            _ => 0,
        };
        let text = if key == "Enter" { "\r" } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let event = json!({
                "type": kind, "key": key, "code": key, "text": text,
                "windowsVirtualKeyCode": code,
            });
            self.command("Input.dispatchKeyEvent", event);
        }
    }

    /// Evaluates an expression in the page, and returns the value as JSON.
    ///
    /// # Panics
    ///
    /// Panics if it throws.
    #[track_caller]
    pub fn eval(&mut self, expression: &str) -> Value {
        let evaluate = json!({
            "expression": expression, "returnByValue": true, "awaitPromise": true,
        });
        let mut result = self.command("Runtime.evaluate", evaluate);
        let thrown = &result["exceptionDetails"];
        assert!(thrown.is_null(), "{expression} throws {thrown}");
        result["result"]["value"].take()
    }

    /// Waits until an expression is true, and returns how long that took.
    ///
    /// # Panics
    ///
    /// Panics if it takes longer than [`TIMEOUT`].
    #[track_caller]
    pub fn wait_for(&mut self, expression: &str) -> Duration {
        let begun = Instant::now();
        // The page may just be loading, and have none of it.
        let expression =
            format!("(() => {{ try {{ return !!({expression}); }} catch {{ return false; }} }})()");
        while self.eval(&expression) != Value::Bool(true) {
            if begun.elapsed() > TIMEOUT {
                let page = self.eval("document.body.innerText");
                panic!("waited in vain for {expression}; the page says {page}");
            }
            thread::sleep(Duration::from_millis(10));
        }
        begun.elapsed()
    }

    /// Takes a screenshot, as PNG.
    ///
    /// # Panics
    ///
    /// Panics if the browser makes none.
    #[track_caller]
    pub fn picture(&mut self) -> Vec<u8> {
        let picture = self.command("Page.captureScreenshot", json!({"format": "png"}));
        from_base64(picture["data"].as_str().expect("a picture"))
    }

    /// Tells the browser to do something, and returns what it answers.
    #[track_caller]
    fn command(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let id = self.next;
        let mut message = json!({"id": id, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.input.write_all(&bytes).expect("the browser reads");
        loop {
            let mut message = self
                .messages
                .recv_timeout(TIMEOUT)
                .unwrap_or_else(|_| panic!("the browser does not answer {method}"));
            if message["id"] == id {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].take();
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its processes are a group; one that is left would still write to the profile.
        let group = format!("-{}", self.child.id());
        let mut kill = Command::new("kill");
        kill.args(["-KILL", "--", &group]).stderr(Stdio::null());
        kill.status().ok();
        self.child.kill().ok();
        self.child.wait().ok();
        // The others of the group may not have ended yet.
        for _ in 0..20 {
            fs::remove_dir_all(&self.profile).ok();
            if !self.profile.exists() {
                break;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

fn from_base64(text: &str) -> Vec<u8> {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits: Vec<_> = text
        .chars()
        .filter_map(|digit| DIGITS.find(digit))
        .collect();
    let bytes = digits.chunks(4).flat_map(|four| {
        let bits = four.iter().fold(0, |bits, digit| bits << 6 | digit) << (6 * (4 - four.len()));
        [16, 8, 0]
            .map(|shift| (bits >> shift) as u8)
            .into_iter()
            .take(four.len() - 1)
    });
    bytes.collect()
}

fn program() -> Option<PathBuf> {
    if let Some(named) = env::var_os(VARIABLE) {
        return Some(named.into());
    }
    let folders = env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    env::split_paths(&folders)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|path| path.is_file())
}
