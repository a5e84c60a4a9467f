//! The README's first command, as somebody who just cloned the project sees it.

// Asserting is what tests do, in their helpers too.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use tests::{
    gateway::{binary, sceau},
    place::{Scratch, loopback},
    process::{Running, run, tool},
};

/// Generous: a minute is promised on a quiet machine.
const PATIENCE: &str = "300";

fn demo(arguments: &[&str]) -> Output {
    let mut command = Command::new("timeout");
    command.args(["--signal=INT", "--kill-after=30", PATIENCE]).arg(binary()).arg("demo").args(arguments);
    command.env("TERM", "dumb").stdin(Stdio::null()).output().unwrap()
}

/// Processes whose command line names this folder.
fn still_running_in(folder: &Path) -> Vec<String> {
    let folder = folder.display().to_string();
    let lines =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(&folder)).collect()
}

#[test]
fn the_demonstration_tells_its_story_and_leaves_nothing_running() {
    if !Path::new("/usr/lib/postfix/sbin/master").exists() {
        eprintln!("skipped: the third operator is a Postfix, which is not installed (tests/run installs it)");
        return;
    }
    let scratch = Scratch::new("demo");
    let folder = scratch.path().join("space");
    let output = demo(&["--once", "--dir", folder.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}\n{errors}");
    assert_eq!(errors, "", "{text}");
    for line in [
        "1. A trusted space is made",
        "✓ subject and PDF are what was sent, octet for octet",
        "✓ sealed (signed, then encrypted for B) before it left, and the very same octets arrived",
        "✓ over mutual TLS; its Postfix notes: (Client CN \"smtp.ch-a.mssante.test\"",
        "✓ no: a sentence of the text, the subject and a line of the attachment are in none of",
        "│ X-Sceau-Notice: Opérateur authentifié, message non signé",
        "✓ the reader is told that it was written by delegation, and with which card",
        "│ = ended for every recipient",
        "✓ a clear no (exit 1), with its reason",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    for id in [
        "not-your-address",
        "from-differs",
        "outside-trusted-space",
        "certificate-revoked",
        "certificate-expired",
        "certificate-untrusted",
        "tls-required",
        "peer-not-listed",
        "peer-not-for-domain",
    ] {
        assert!(text.contains(&format!("│ [{id}]")), "{id}\n{text}");
    }
    for status in ["Status: 5.1.1", "Status: 5.6.0", "Status: 5.2.2"] {
        assert!(text.contains(status), "{status}\n{text}");
    }
    assert!(!text.contains('✗') && !text.contains('\x1b'), "{text}");
    assert!(text.lines().last().unwrap().starts_with("All 35 expectations were met"), "{text}");
    assert_eq!(still_running_in(&folder), Vec::<String>::new());
}

#[test]
fn the_demonstration_leaves_somebody_elses_folder_alone() {
    let scratch = Scratch::new("demo");
    fs::write(scratch.path().join("thesis.txt"), "mine").unwrap();
    let output = demo(&["--once", "--dir", scratch.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is not empty"), "{output:?}");
    assert_eq!(fs::read_to_string(scratch.path().join("thesis.txt")).unwrap(), "mine");
}

/// Left running, it exports what other software needs, and its example is a command that works.
#[test]
fn the_example_that_it_prints_works() {
    let scratch = Scratch::new("demo");
    let folder = scratch.join("space");
    let address = loopback().to_string();
    let mut demo = Running::start("demo", binary(), |command| {
        command.args(["demo", "--listen", &address, "--dir"]).arg(&folder);
    });
    demo.wait_for_line(&["Now it is your turn"]);
    let endpoints = fs::read(folder.join("endpoints.json")).unwrap();
    let endpoints: serde_json::Value = serde_json::from_slice(&endpoints).unwrap();
    let command = endpoints["try_this"].as_str().unwrap();
    assert!(command.contains(&format!("--server {address} ")), "{command}");
    let sent = run(tool("sh").args(["-c", command]), b"");
    assert!(sent.code == Some(0), "{command}\n{}", sent.text());

    let text = sent.text();
    let id = text.split("Accepted as ").nth(1).unwrap().split_whitespace().next().unwrap();
    let configuration = endpoints["gateways"][0]["configuration"].as_str().unwrap();
    let why = sceau(&["why", id, "--config", configuration], b"");
    assert!(why.code == Some(0), "{}{}", why.text(), why.errors);
    assert!(demo.stop().success(), "{}", demo.log());
}
