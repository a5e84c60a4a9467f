//! A real browser, driven through WebDriver (W3C) on loopback: Debian's `chromium` and `chromium-driver`.
//!
//! A client of our own: a dozen requests with JSON bodies need no library.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::process::{PATIENCE, Running};

/// Keys by their WebDriver code points.
pub mod keys {
    /// To the next control.
    pub const TAB: &str = "\u{E004}";
    /// Follows a link, sends a form.
    pub const ENTER: &str = "\u{E007}";
    /// To the first result.
    pub const DOWN: &str = "\u{E015}";
    /// Unfolds, presses a button.
    pub const SPACE: &str = " ";
}

/// A browser with one window.
#[derive(Debug)]
pub struct Browser {
    driver: SocketAddr,
    session: String,
    // Last: it ends the browser.
    _process: Running,
}

impl Browser {
    /// Starts one, without a screen, that takes any certificate: the tests' roots are not the browser's.
    #[must_use]
    #[track_caller]
    pub fn start() -> Self {
        // It listens on 127.0.0.1 only, and takes a free port by itself.
        let process = Running::start("chromedriver", "chromedriver", |command| {
            command.arg("--port=0");
        });
        let said = process.wait_for_line(&["started successfully on port"]);
        let port = said.trim_end_matches('.').rsplit(' ').next().and_then(|port| port.parse().ok());
        let driver = SocketAddr::from(([127, 0, 0, 1], port.unwrap_or_else(|| panic!("no port: {said}"))));
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--no-first-run",
            "--hide-scrollbars",
            "--lang=fr-FR",
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "acceptInsecureCerts": true,
            "goog:chromeOptions": {"args": arguments, "prefs": {"intl.accept_languages": "fr-FR,fr"}},
            "timeouts": {"script": 60_000, "pageLoad": 60_000}
        }}});
        let mut browser = Self { driver, session: String::new(), _process: process };
        let made = browser.call("POST", "/session", &wanted);
        browser.session = made["sessionId"].as_str().unwrap_or_else(|| panic!("no browser: {made}")).to_owned();
        browser
    }

    /// Goes to an address and waits until it is there.
    #[track_caller]
    pub fn go(&self, address: &str) {
        self.command("POST", "url", &json!({"url": address}));
    }

    /// Where it is.
    #[must_use]
    #[track_caller]
    pub fn address(&self) -> String {
        self.command("GET", "url", &Value::Null).as_str().unwrap_or_default().to_owned()
    }

    /// Runs a function body in the page and gives what it returns.
    #[track_caller]
    pub fn run(&self, script: &str) -> Value {
        self.command("POST", "execute/sync", &json!({"script": script, "args": []}))
    }

    /// The same for a body that calls `done(value)`.
    #[track_caller]
    pub fn run_until_done(&self, script: &str) -> Value {
        let script = format!("const done = arguments[arguments.length - 1]; {script}");
        self.command("POST", "execute/async", &json!({"script": script, "args": []}))
    }

    /// Waits until an expression is true in the page, and over whatever page it goes to meanwhile: a script that runs
    /// while one page gives way to the next ends in an error, which says nothing.
    #[track_caller]
    pub fn wait(&self, expression: &str) {
        let body = json!({"script": format!("return Boolean({expression});"), "args": []}).to_string();
        let path = format!("/session/{}/execute/sync", self.session);
        let end = Instant::now() + PATIENCE;
        let mut last = String::new();
        while Instant::now() < end {
            let (_, text) = ask(self.driver, "POST", &path, &body).unwrap_or_else(|error| panic!("{path}: {error}"));
            let answer: Value = serde_json::from_str(&text).unwrap_or_default();
            if answer["value"] == true {
                return;
            }
            last = text;
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{expression} did not come true at {}; last: {last}", self.address());
    }

    /// Types into whatever has the focus.
    #[track_caller]
    pub fn type_in(&self, text: &str) {
        let strokes: Vec<Value> = text
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key.to_string()})))
            .collect();
        self.command("POST", "actions", &json!({"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]}));
    }

    /// Asks the browser itself (Chrome DevTools protocol).
    #[track_caller]
    pub fn devtools(&self, method: &str, parameters: &Value) -> Value {
        self.command("POST", "goog/cdp/execute", &json!({"cmd": method, "params": parameters}))
    }

    /// Makes the window so wide and high, in pixels of the page.
    #[track_caller]
    pub fn resize(&self, width: u32, height: u32) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// A picture of the window (PNG).
    #[must_use]
    #[track_caller]
    pub fn picture(&self) -> Vec<u8> {
        STANDARD.decode(self.command("GET", "screenshot", &Value::Null).as_str().unwrap_or_default()).unwrap()
    }

    #[track_caller]
    fn command(&self, method: &str, what: &str, body: &Value) -> Value {
        self.call(method, &format!("/session/{}/{what}", self.session), body)
    }

    #[track_caller]
    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, text) = ask(self.driver, method, path, &body).unwrap_or_else(|error| panic!("{path}: {error}"));
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        assert!(status == 200, "{method} {path}: {}", answer["value"]["message"].as_str().unwrap_or(&text));
        answer["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends its browser with the session; whoever cannot be told any more is ended with its group.
        let _ = ask(self.driver, "DELETE", &format!("/session/{}", self.session), "");
    }
}

/// One request, one connection.
fn ask(to: SocketAddr, method: &str, path: &str, body: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE * 2))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {to}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|it| it.parse().ok()).unwrap_or(0);
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    let length = headers.get("content-length").and_then(|it| it.parse::<usize>().ok()).unwrap_or(0);
    let mut text = vec![0; length];
    reader.read_exact(&mut text)?;
    Ok((status, String::from_utf8_lossy(&text).into_owned()))
}
