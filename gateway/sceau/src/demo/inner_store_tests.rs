//! Spoken to by hand: the dialogue is the specification.

use tokio::io::{AsyncBufReadExt, BufReader};

use super::*;

struct Caller(BufReader<TcpStream>);

impl Caller {
    async fn to(store: &InnerStore) -> Self {
        let mut caller = Self(BufReader::new(TcpStream::connect(store.address()).await.unwrap()));
        assert!(caller.reply().await.starts_with("220 "));
        caller.say("LHLO gateway.test", "250").await;
        caller
    }

    async fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).await.unwrap();
            if line.as_bytes().get(3) != Some(&b'-') {
                return line;
            }
        }
    }

    async fn say(&mut self, line: &str, code: &str) {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
        let reply = self.reply().await;
        assert!(reply.starts_with(code), "{line}: {reply}");
    }

    async fn offer(&mut self, recipient: &str, code: &str) {
        self.say("MAIL FROM:<anne.martin-test@ch-a.mssante.test>", "250").await;
        self.say(&format!("RCPT TO:<{recipient}>"), code).await;
        self.say("RSET", "250").await;
    }
}

async fn store(folder: &std::path::Path) -> InnerStore {
    InnerStore::start("127.0.0.1:0".parse().unwrap(), folder.to_owned(), "store.ch-b.mssante.test").await.unwrap()
}

fn at_b(local: &str) -> Address {
    Address::parse(&format!("{local}@ch-b.mssante.test")).unwrap()
}

#[tokio::test]
async fn each_recipient_gets_its_own_answer_and_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let mut caller = Caller::to(&store).await;
    caller.say("MAIL FROM:<anne.martin-test@ch-a.mssante.test>", "250").await;
    for (recipient, code) in [
        ("claire.moreau-test", "250"),
        ("refuse.essai", "550"),
        ("contenu.essai", "250"),
        ("nadia.lambert-test", "250"),
    ] {
        caller.say(&format!("RCPT TO:<{recipient}@ch-b.mssante.test>"), code).await;
    }
    caller.say("DATA", "354").await;
    caller.say("Subject: essai\r\n\r\n..point\r\n.", "250 2.1.5").await;
    assert!(caller.reply().await.starts_with("554 5.6.0"));
    assert!(caller.reply().await.starts_with("250 2.1.5"));
    for mailbox in ["claire.moreau-test", "nadia.lambert-test"] {
        let found = store.wait_for(&at_b(mailbox), 1, Duration::from_secs(10)).await.unwrap().unwrap();
        assert_eq!(
            std::fs::read_to_string(&found[0]).unwrap(),
            format!(
                "Return-Path: <anne.martin-test@ch-a.mssante.test>\r\nDelivered-To: {mailbox}@ch-b.mssante.test\r\n\
                 Subject: essai\r\n\r\n.point\r\n"
            )
        );
    }
    assert!(store.messages(&at_b("contenu.essai")).unwrap().is_empty());
    caller.say("QUIT", "221").await;
    store.stop().await;
    assert_eq!(std::fs::read_dir(folder.path().join("incoming")).unwrap().count(), 0, "nothing half-way stays");
}

#[tokio::test]
async fn mailboxes_misbehave_as_their_name_says() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let mut caller = Caller::to(&store).await;
    for (recipient, codes) in [
        ("refuse.essai@ch-b.mssante.test", ["550 5.1.1", "550 5.1.1", "550 5.1.1"]),
        ("differe.essai@ch-b.mssante.test", ["451 4.2.1", "250", "451 4.2.1"]),
        ("echec.essai@ch-b.mssante.test", ["451 4.2.1", "552 5.2.2", "451 4.2.1"]),
        ("retard.essai@ch-b.mssante.test", ["451 4.2.1", "451 4.2.1", "451 4.2.1"]),
        ("claire.moreau-test@ch-b.mssante.test", ["250", "250", "250"]),
    ] {
        for code in codes {
            caller.offer(recipient, code).await;
        }
    }
    store.stop().await;
}

#[tokio::test]
async fn an_unfinished_message_is_no_message() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let mut caller = Caller::to(&store).await;
    caller.say("MAIL FROM:<>", "250").await;
    caller.say("RCPT TO:<claire.moreau-test@ch-b.mssante.test>", "250").await;
    caller.say("DATA", "354").await;
    caller.0.get_mut().write_all(b"Subject: coup").await.unwrap();
    drop(caller);
    let mut caller = Caller::to(&store).await;
    caller.offer("claire.moreau-test@ch-b.mssante.test", "250").await;
    assert_eq!(store.wait_for(&at_b("claire.moreau-test"), 1, Duration::ZERO).await.unwrap(), None);
}
