//! Dovecot as the inner mail store: takes messages by LMTP, gives them back by IMAP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::place::{Scratch, free_endpoint};
use crate::process::{PATIENCE, Running, run, tool};

/// The password of every mailbox.
pub const PASSWORD: &str = "essai";

/// A running Dovecot of our own.
#[derive(Debug)]
pub struct Dovecot {
    // Before the folder: it must have ended when the folder goes.
    process: Running,
    _folder: Scratch,
    lmtp: SocketAddr,
    imap: SocketAddr,
}

impl Dovecot {
    /// Starts one with these mailboxes and waits until it listens.
    #[must_use]
    #[track_caller]
    pub fn start(mailboxes: &[&str]) -> Self {
        Self::start_at(free_endpoint(), mailboxes)
    }

    /// As [`Self::start`], taking messages at this endpoint.
    #[must_use]
    #[track_caller]
    pub fn start_at(lmtp: SocketAddr, mailboxes: &[&str]) -> Self {
        let folder = Scratch::new("dovecot");
        folder.folder("home", 0o777);
        let imap = free_endpoint();
        let users: String = mailboxes.iter().map(|address| format!("{address}:{{PLAIN}}{PASSWORD}\n")).collect();
        folder.write("users", users);
        let configuration = folder.write("dovecot.conf", configuration(&folder, lmtp, imap));
        let process = Running::start("dovecot", "dovecot", |command| {
            command.arg("-F").arg("-c").arg(&configuration);
        });
        process.wait_for_line(&["starting up for"]);
        Self { process, _folder: folder, lmtp, imap }
    }

    /// Where it takes messages (LMTP over TCP, no TLS).
    #[must_use]
    pub fn lmtp(&self) -> SocketAddr {
        self.lmtp
    }

    /// Where it gives them back (IMAP over TCP, no TLS).
    #[must_use]
    pub fn imap(&self) -> SocketAddr {
        self.imap
    }

    /// Its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Waits until the mailbox holds at least `count` messages and reads all of them as an IMAP client.
    #[must_use]
    #[track_caller]
    pub fn wait_for(&self, mailbox: &str, count: usize) -> Vec<Vec<u8>> {
        let mut reader = Imap::log_in(self.imap, mailbox, PASSWORD);
        reader.wait_for(count);
        reader.messages()
    }

    /// Reads what the mailbox holds now.
    #[must_use]
    #[track_caller]
    pub fn messages(&self, mailbox: &str) -> Vec<Vec<u8>> {
        Imap::log_in(self.imap, mailbox, PASSWORD).messages()
    }
}

fn configuration(folder: &Scratch, lmtp: SocketAddr, imap: SocketAddr) -> String {
    let home = folder.path().display();
    // Dovecot does not touch mail as root; its own users come with its package.
    let ids = run(tool("id").args(["-u", "dovecot"]), b"");
    assert!(ids.code == Some(0), "Dovecot is not installed: tests/run installs it ({})", ids.errors.trim());
    let (lmtp_ip, lmtp_port, imap_ip, imap_port) = (lmtp.ip(), lmtp.port(), imap.ip(), imap.port());
    format!(
        "base_dir = {home}/run
state_dir = {home}/state
instance_name = sceau-test
log_path = /dev/stderr
protocols = imap lmtp
listen = {imap_ip}
ssl = no
disable_plaintext_auth = no
first_valid_uid = 1
mail_location = maildir:~/Maildir
mail_log_prefix = \"%s(%u): \"
lda_mailbox_autocreate = yes
passdb {{
  driver = passwd-file
  args = username_format=%u {home}/users
}}
userdb {{
  driver = static
  args = uid=dovecot gid=dovecot home={home}/home/%u
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    address = {imap_ip}
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = {lmtp_ip}
    port = {lmtp_port}
  }}
}}
service stats {{
  chroot =
}}
service anvil {{
  chroot =
}}
"
    )
}

/// As much of an IMAP client (RFC 3501) as reading back takes.
#[derive(Debug)]
pub struct Imap {
    stream: BufReader<TcpStream>,
    tag: u32,
    exists: usize,
}

impl Imap {
    /// Logs in and opens the INBOX.
    #[must_use]
    #[track_caller]
    pub fn log_in(server: SocketAddr, user: &str, password: &str) -> Self {
        let stream = TcpStream::connect_timeout(&server, PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut imap = Self { stream: BufReader::new(stream), tag: 0, exists: 0 };
        let greeting = imap.line();
        assert!(greeting.starts_with("* OK"), "{greeting}");
        imap.command(&format!("LOGIN \"{user}\" \"{password}\""));
        imap.command("SELECT INBOX");
        imap
    }

    /// Waits until the mailbox holds at least `count` messages (IDLE, RFC 2177).
    #[track_caller]
    pub fn wait_for(&mut self, count: usize) {
        if self.exists >= count {
            return;
        }
        self.send("IDLE");
        let mut seen = Vec::new();
        while self.exists < count {
            let line = self.line();
            assert!(!line.is_empty(), "{} of {count} messages came; the server said {seen:?}", self.exists);
            seen.push(line);
        }
        self.stream.get_mut().write_all(b"DONE\r\n").unwrap();
        self.finish();
    }

    /// Every message of the mailbox, in order, byte for byte.
    #[track_caller]
    pub fn messages(&mut self) -> Vec<Vec<u8>> {
        if self.exists == 0 {
            return Vec::new();
        }
        self.command(&format!("FETCH 1:{} BODY.PEEK[]", self.exists))
    }

    fn send(&mut self, command: &str) {
        self.tag += 1;
        let line = format!("t{} {command}\r\n", self.tag);
        self.stream.get_mut().write_all(line.as_bytes()).unwrap();
    }

    #[track_caller]
    fn command(&mut self, command: &str) -> Vec<Vec<u8>> {
        self.send(command);
        self.finish()
    }

    /// Reads to the tagged answer; the literals on the way are the result.
    #[track_caller]
    fn finish(&mut self) -> Vec<Vec<u8>> {
        let end = format!("t{} ", self.tag);
        let mut literals = Vec::new();
        loop {
            let line = self.line();
            assert!(!line.is_empty(), "the IMAP server closed the connection or fell silent");
            if let Some(result) = line.strip_prefix(&end) {
                assert!(result.starts_with("OK"), "IMAP: {result}");
                return literals;
            }
            if let Some(size) = line.strip_suffix('}').and_then(|line| line.rsplit_once('{')) {
                let mut literal = vec![0; size.1.parse().unwrap()];
                self.stream.read_exact(&mut literal).unwrap();
                literals.push(literal);
            }
        }
    }

    /// One line without its end; empty when there is none.
    fn line(&mut self) -> String {
        let mut line = Vec::new();
        let _ = self.stream.read_until(b'\n', &mut line);
        let line = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
        if let Some(count) = line.strip_prefix("* ").and_then(|line| line.strip_suffix(" EXISTS")) {
            self.exists = count.parse().unwrap();
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Wire;

    fn deliver(dovecot: &Dovecot, to: &str, subject: &str) {
        let mut wire = Wire::connect(dovecot.lmtp());
        wire.play("S: 220\nC: LHLO gateway.test\nS: 250\nC: MAIL FROM:<dr@a.test>\nS: 250");
        wire.exchange(&format!("RCPT TO:<{to}>"), 250);
        wire.exchange("DATA", 354);
        wire.send(format!("Subject: {subject}\r\n\r\nligne 1\r\n..point\r\n.\r\n").as_bytes());
        wire.expect(250);
    }

    #[test]
    fn gives_back_by_imap_what_came_by_lmtp() {
        let dovecot = Dovecot::start(&["dr.petit@b.test", "vide@b.test"]);
        deliver(&dovecot, "dr.petit@b.test", "Un");
        let mail = dovecot.wait_for("dr.petit@b.test", 1);
        let text = String::from_utf8_lossy(&mail[0]).into_owned();
        assert!(text.contains("Subject: Un\r\n\r\nligne 1\r\n.point\r\n"), "{text}");
        assert!(dovecot.messages("vide@b.test").is_empty());

        let mut reader = Imap::log_in(dovecot.imap(), "dr.petit@b.test", PASSWORD);
        deliver(&dovecot, "dr.petit@b.test", "Deux");
        reader.wait_for(2);
        assert_eq!(reader.messages().len(), 2);
    }

    #[test]
    fn does_not_know_everybody() {
        let dovecot = Dovecot::start(&["dr.petit@b.test"]);
        let mut wire = Wire::connect(dovecot.lmtp());
        wire.play("S: 220\nC: LHLO gateway.test\nS: 250\nC: MAIL FROM:<>\nS: 250\nC: RCPT TO:<nobody@b.test>\nS: 550");
    }
}
