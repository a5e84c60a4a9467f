//! What other operators bring, taken and tried in the process itself: the demonstration's first hospital with a clock
//! that is moved by hand.

use std::{fs, sync::Arc, time::Duration};

use base64::Engine as _;
use ident::{Address, ManualClock, Timestamp};
use openssl::{
    cms::{CMSOptions, CmsContentInfo},
    pkey::PKey,
};
use pki::{
    certificate::Certificate,
    cms::{self, ContentCipher},
};
use smtp::{BodyKind, MailFrom, RcptTo};
use store::{
    Changes, Direction, Filter, Message, NewMessage, NewRecipient, Notify, Page, Reason, State, Step, Store as _,
    Update,
};
use tokio::runtime::Runtime;

use super::*;
use crate::{
    delivery,
    demo::{
        cast::Place,
        space::{IdentityFiles, Space, SpaceSettings},
    },
    intake::{
        in_hand::InHand,
        incoming::{Incoming, accept},
    },
    net::{session::Peer, tls::TlsFacts},
    quarantine,
    queued::{BodyNotes, Notes, under_storage_key},
    rest::Spool,
    trust::{Block, Fate, OrderBook, Target},
};

mod captured;
mod several;

const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);
const HOUR: Duration = Duration::from_secs(3600);
const MARTIN: &str = "anne.martin-test@ch-a.mssante.test";
const MOREAU: &str = "claire.moreau-test@ch-b.mssante.test";
const PETIT: &str = "jean.petit-test@operateur-c.mssante.test";
const OWN_KEY: &str = "decryption = [{ certificate = \"decryption.pem\", key = \"decryption.key\" }]";
const OTHER_KEY: &str = "decryption = [{ certificate = \"signing.pem\", key = \"signing.key\" }]";
/// The second hospital's domain, served here as well.
const SECOND: &str = "
[[domain]]
name = \"ch-b.mssante.test\"
registry = \"../ch-b/registry.toml\"
signing = { certificate = \"../ch-b/signing.pem\", key = \"../ch-b/signing.key\" }
decryption = [{ certificate = \"../ch-b/decryption.pem\", key = \"../ch-b/decryption.key\" }]
inner = { protocol = \"lmtp\", address = \"127.0.0.1:1\" }
";
const QUARANTINE: &str = "\n[opening]\nunknown_key = \"quarantine\"\n";

/// The hospital and its queue. Its inner store is down: what can be handed over waits for it.
struct Ward {
    space: Space,
    clock: Arc<ManualClock>,
    gateway: Arc<Gateway>,
    runtime: Runtime,
    folder: tempfile::TempDir,
}

impl Ward {
    /// With its configuration changed as text.
    fn with(change: impl FnOnce(String) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = SpaceSettings::small(folder.path(), NOW, 4);
        let space = Space::create(&settings).unwrap();
        let file = space.configuration(Place::A);
        let text = fs::read_to_string(&file).unwrap().replace("lifetime = \"5m\"", "lifetime = \"5d\"");
        fs::write(&file, change(text)).unwrap();
        let clock = Arc::new(ManualClock::at(NOW));
        let (gateway, _) = Gateway::open(file, Arc::clone(&clock) as _).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { space, clock, gateway, runtime, folder }
    }

    /// Waits in quarantine for a key that is away.
    fn without_its_key() -> Self {
        Self::with(|text| text.replace(OWN_KEY, OTHER_KEY) + QUARANTINE)
    }

    fn reconfigure(&self, from: &str, to: &str) {
        let file = self.space.configuration(Place::A);
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{from}");
        fs::write(&file, text.replace(from, to)).unwrap();
        self.gateway.reload().unwrap();
    }

    fn certificate(&self, file: &str) -> Certificate {
        Certificate::from_pem(&fs::read(self.folder.path().join(file)).unwrap()).unwrap()
    }

    /// An operator's server brings a message.
    fn brings(&self, server: &IdentityFiles, from: &str, to: &[&str], message: &[u8]) -> Result<QueueId, Refusal> {
        let address = |text: &str| Address::parse(text).unwrap();
        let chain = Certificate::list_from_pem(&fs::read(&server.certificate).unwrap()).unwrap();
        let (version, cipher) = ("TLSv1.3".to_owned(), "TLS_AES_256_GCM_SHA384".to_owned());
        let tls = TlsFacts { version, cipher, peer: chain.clone(), stapled: None };
        let incoming = Incoming {
            id: self.gateway.queue_id(),
            operator: chain.into_iter().next().unwrap(),
            mail: MailFrom {
                sender: Some(address(from)),
                size: None,
                body: BodyKind::EightBit,
                smtputf8: false,
                ret: None,
                envid: None,
                require_tls: false,
            },
            recipients: to.iter().map(|to| RcptTo { address: address(to), notify: None, orcpt: None }).collect(),
            peer: Peer { address: "127.0.0.1:2525".parse().unwrap(), tls: Some(tls), hello: Some("c.test".into()) },
        };
        let mut spool = Spool::new(self.folder.path());
        spool.write(message).unwrap();
        self.runtime.block_on(accept(&self.gateway, incoming, spool))
    }

    /// The third operator, which need not sign, brings a message of Dr PETIT-TEST.
    fn petit_brings(&self, to: &[&str], message: &[u8]) -> Result<QueueId, RefusalId> {
        self.brings(&self.space.operator, PETIT, to, message).map_err(|refusal| refusal.id)
    }

    fn attend(&self) {
        self.runtime.block_on(delivery::attend(&self.gateway));
    }

    fn later(&self, time: Duration) {
        self.clock.advance(time);
        self.attend();
    }

    fn message(&self, id: QueueId) -> Message {
        self.runtime.block_on(self.gateway.store.message(id)).unwrap().unwrap()
    }

    /// Where its recipients stand.
    fn states(&self, id: QueueId) -> Vec<String> {
        let code = |reason: &Option<Reason>| reason.as_ref().map(|reason| reason.code.clone()).unwrap_or_default();
        let state = |recipient: &store::Recipient| match &recipient.progress.state {
            State::Queued { last, .. } => format!("waiting {}", code(last)),
            State::Held { reason, .. } => format!("held {}", reason.code),
            State::Failed { reason, .. } => format!("failed {}", reason.code),
            State::Expired { .. } => "expired".to_owned(),
            other => format!("{other:?}"),
        };
        self.message(id).recipients.iter().map(state).collect()
    }

    fn order(&self, id: QueueId, step: Step) {
        for recipient in self.message(id).recipients {
            let update = Update { message: id, recipient: recipient.index, lease: None, step: step.clone() };
            self.commit(Changes { updates: vec![update], ..Changes::default() });
        }
    }

    fn release(&self, id: QueueId) {
        self.order(id, Step::Release { due: self.gateway.now() });
        self.attend();
    }

    fn refuse(&self, id: QueueId) {
        let why = trail::SafeText::of("ancienne clef");
        self.commit(Changes { updates: quarantine::refusal(id, 0, self.gateway.now(), why), ..Changes::default() });
    }

    /// A message that waits without marks, as an older build left it.
    fn unmarked(&self, message_id: &str) -> QueueId {
        let (id, now) = (self.gateway.queue_id(), self.gateway.now());
        let text = mail_of(PETIT, MARTIN, message_id, TEXT);
        let size = text.len() as u64;
        let address = Address::parse(MARTIN).unwrap();
        let destination = store::Destination::Inner(address.domain().clone());
        let to = NewRecipient { destination, address, body: 0, notify: Notify::default(), orcpt: None, due: now };
        let body = under_storage_key(&self.gateway, &mut InHand::default(), &text, size).unwrap();
        let sender = Some(Address::parse(PETIT).unwrap());
        self.commit(Changes::message(NewMessage {
            id,
            direction: Direction::Incoming,
            envelope: store::Envelope { sender, ..store::Envelope::default() },
            message_id: Some(format!("{message_id}@porte.test")),
            digest: crate::queued::digest(&text),
            size,
            accepted: now,
            expires: self.gateway.schedule.expires(now),
            repeat: None,
            bodies: vec![body],
            recipients: vec![to],
            notes: Notes::new([BodyNotes::default()]).to_json(),
            records: Vec::new(),
        }));
        id
    }

    fn commit(&self, changes: Changes) {
        self.runtime.block_on(self.gateway.store.commit(changes)).unwrap();
    }

    fn all(&self) -> Vec<Message> {
        self.runtime.block_on(self.gateway.store.list(Filter::default(), Page { after: None, limit: 100 })).unwrap()
    }

    /// Notices that were written.
    fn notices(&self) -> usize {
        self.all().iter().filter(|message| message.info.envelope.sender.is_none()).count()
    }

    /// What a notice says to one of our own, or to whom nothing is sealed.
    fn notice(&self) -> String {
        let notice = self.all().into_iter().find(|message| message.info.envelope.sender.is_none()).unwrap();
        let mut stored =
            self.runtime.block_on(self.gateway.store.body(&notice.bodies[0].body.clone().unwrap())).unwrap();
        let mut octets = Vec::new();
        std::io::Read::read_to_end(&mut stored, &mut octets).unwrap();
        let key = self.gateway.vault().body_key(notice.bodies[0].content_key.as_deref().unwrap()).unwrap();
        let mut text = String::new();
        let mut reader = crate::rest::SegmentReader::new(key, &octets[..]);
        std::io::Read::read_to_string(&mut reader, &mut text).unwrap();
        text
    }
}

/// An entity that is one container.
fn container(kind: &str, der: &[u8]) -> Vec<u8> {
    let mut out = format!(
        "Content-Type: application/pkcs7-mime; smime-type={kind}; name=smime.p7m\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n"
    );
    for line in base64::engine::general_purpose::STANDARD.encode(der).as_bytes().chunks(76) {
        out += std::str::from_utf8(line).unwrap();
        out += "\r\n";
    }
    out.into_bytes()
}

fn encrypted(entity: &[u8], readers: &[&Certificate]) -> Vec<u8> {
    container("authEnveloped-data", &cms::encrypt(entity, readers, ContentCipher::Aes256Gcm).unwrap())
}

/// A mail whose root is this entity.
fn mail_of(from: &str, to: &str, id: &str, entity: &[u8]) -> Vec<u8> {
    let header = format!(
        "From: <{from}>\r\nTo: <{to}>\r\nSubject: ...\r\nMessage-ID: <{id}@porte.test>\r\n\
         Date: Sat, 21 Nov 2026 10:00:00 +0100\r\nMIME-Version: 1.0\r\n"
    );
    [header.as_bytes(), entity].concat()
}

fn from_petit(id: &str, entity: &[u8]) -> Vec<u8> {
    mail_of(PETIT, MARTIN, id, entity)
}

const TEXT: &[u8] = b"Content-Type: text/plain\r\n\r\nbonjour\r\n";

/// A16: a body that was sealed for one of our domains opens for nobody in another one, and for nobody at all where
/// the envelope names both, although both are served here.
#[test]
fn what_is_sealed_for_one_of_our_domains_is_not_read_in_another() {
    for (settings, refused) in [("", true), (QUARANTINE, false)] {
        let ward = Ward::with(|text| text + SECOND + settings);
        let (a, b) = (ward.certificate("ch-a/decryption.pem"), ward.certificate("ch-b/decryption.pem"));
        let for_a = |id: &str| from_petit(id, &encrypted(TEXT, &[&a]));
        assert!(ward.petit_brings(&[MARTIN], &for_a("un")).is_ok(), "its own reader's");
        for (id, to) in [("deux", &[MOREAU][..]), ("trois", &[MARTIN, MOREAU]), ("quatre", &[MOREAU, MARTIN])] {
            let outcome = ward.petit_brings(to, &for_a(id));
            match (refused, outcome) {
                (true, outcome) => assert_eq!(outcome, Err(RefusalId::OpeningFailed), "{to:?}"),
                (false, Ok(id)) => {
                    // Taken unopened; released, each domain reads for itself.
                    assert!(ward.states(id).iter().all(|state| state == "held quarantine"));
                    ward.release(id);
                    let states = ward.states(id);
                    for (to, state) in to.iter().zip(&states) {
                        let expected = if *to == MARTIN { "waiting inner-server" } else { "held quarantine" };
                        assert_eq!(state, expected, "{to} of {to:?}: {states:?}");
                    }
                }
                (false, Err(refusal)) => panic!("{refusal:?}"),
            }
        }
        // Sealed for both, it is read by both.
        let for_both = from_petit("cinq", &encrypted(TEXT, &[&a, &b]));
        let id = ward.petit_brings(&[MARTIN, MOREAU], &for_both).unwrap();
        ward.attend();
        assert_eq!(ward.states(id), ["waiting inner-server", "waiting inner-server"]);
    }
}

/// H4: who plays the message of somebody else's patients again, from a mailbox of its own, hears one answer whatever
/// is inside; and it is counted as what could not be opened.
#[test]
fn a_captured_body_tells_nothing_to_who_plays_it_again() {
    let ward = Ward::with(|text| text + "\n[limits]\nunreadable_per_hour = 3\n");
    let reader = ward.certificate("ch-a/decryption.pem");
    let wrapped = |inner: &str| {
        let entity = format!("Content-Type: message/rfc822\r\n\r\n{}\r\nbonjour\r\n", inner.replace('\n', "\r\n"));
        encrypted(entity.as_bytes(), &[&reader])
    };
    let inside = [
        ("autre", format!("From: <{MOREAU}>\nTo: <{MARTIN}>\n")),
        ("hors", format!("From: <dr.x@inconnu.test>\nTo: <{MARTIN}>\n")),
        ("illisible", format!("From: <{MOREAU}>\nTo: <{MARTIN}>\nContent-Type: text/plain; (c) hp=clear\n")),
    ];
    let said: Vec<Refusal> = inside
        .iter()
        .map(|(id, inner)| {
            let played = from_petit(id, &wrapped(inner));
            ward.brings(&ward.space.operator, PETIT, &[MARTIN], &played).unwrap_err()
        })
        .collect();
    let replies: Vec<String> = said.iter().map(|refusal| format!("{:?}", refusal.reply("aide@x.test"))).collect();
    assert!(said.iter().all(|refusal| refusal.id == RefusalId::OpeningFailed), "{said:?}");
    assert!(replies.iter().all(|reply| *reply == replies[0]), "{replies:?}");
    // Who writes for itself is told what is wrong.
    let lost = format!("From: <{PETIT}>\nTo: <{MARTIN}>\nContent-Type: text/plain; (c) hp=clear\n");
    let own = from_petit("soi", &wrapped(&lost));
    assert_eq!(ward.petit_brings(&[MARTIN], &own), Err(RefusalId::TooManyUnreadable), "three were played");
    ward.clock.advance(HOUR);
    assert_eq!(ward.petit_brings(&[MARTIN], &own), Err(RefusalId::HeaderMalformed));
}

/// Promise 2: where mail has to be sealed, a signature alone does not do, opaque or clear, the domain's or its
/// author's; where a rule says so, it does, and unencrypted mail is no way around what is asked of ciphers.
#[test]
fn a_signature_does_not_do_where_mail_has_to_be_sealed() {
    let ward = Ward::with(|text| text);
    let (required, server) = ("smime = \"required\"", &ward.space.gateways[1]);
    let ciphers = "smime = \"required\"\nciphers = [\"aes-256-gcm\"]";
    let signed = "smime = \"signed\"";
    let bodies = [
        ward.clearly_signed_by("ch-b/signing", TEXT),
        ward.signed_by("ch-b/signing", TEXT),
        ward.signed_by("cards/moreau/signature", TEXT),
    ];
    let hears = |rule: &str| {
        let brings = |(n, body): (usize, &Vec<u8>)| {
            let id = format!("{n}-{}", rule.len());
            ward.brings(server, MOREAU, &[MARTIN], &mail_of(MOREAU, MARTIN, &id, body)).err().map(|refusal| refusal.id)
        };
        bodies.iter().enumerate().map(brings).collect::<Vec<_>>()
    };
    assert_eq!(hears(required), [Some(RefusalId::SealRequired); 3]);
    ward.reconfigure(required, ciphers);
    assert_eq!(hears(ciphers), [Some(RefusalId::SealRequired); 3]);
    ward.reconfigure(ciphers, signed);
    assert_eq!(hears(signed), [None; 3]);
}

/// Promise 1: what no delivery could hand over is refused before 250, plain and wrapped.
#[test]
fn a_header_that_cannot_be_handed_over_is_refused_at_the_door() {
    let ward = Ward::with(|text| text);
    let reader = ward.certificate("ch-a/decryption.pem");
    let entity = b"Content-Type: text/plain; (c) hp=clear\r\n\r\nbonjour\r\n";
    let wrapped = [&b"Content-Type: message/rfc822\r\n\r\n"[..], &from_petit("dedans", entity)].concat();
    for (id, entity) in [("nu", entity.to_vec()), ("scelle", encrypted(&wrapped, &[&reader]))] {
        assert_eq!(ward.petit_brings(&[MARTIN], &from_petit(id, &entity)), Err(RefusalId::HeaderMalformed), "{id}");
    }
    assert_eq!(ward.all().len(), 0);
}

/// The peer lost our 250 and brings the same octets again: they wait once.
#[test]
fn what_is_in_quarantine_is_there_once() {
    let ward = Ward::without_its_key();
    let away = ward.certificate("ch-a/decryption.pem");
    let message = from_petit("deux-fois", &encrypted(TEXT, &[&away]));
    let first = ward.petit_brings(&[MARTIN], &message).unwrap();
    assert_eq!(ward.petit_brings(&[MARTIN], &message), Ok(first));
    assert_eq!(ward.all().len(), 1);
    // The same text sealed anew is another message.
    let anew = from_petit("deux-fois", &encrypted(TEXT, &[&away]));
    assert_ne!(ward.petit_brings(&[MARTIN], &anew), Ok(first));
}

/// Decision 0028: once its key is there, what would have been refused at the door fails, and its sender is told;
/// what is sound is handed over; what lacks its key still waits.
#[test]
fn a_release_ends_what_the_door_would_have_refused() {
    let ward = Ward::without_its_key();
    let away = ward.certificate("ch-a/decryption.pem");
    let stranger = ward.certificate("ch-b/decryption.pem");
    let twice = encrypted(&encrypted(TEXT, &[&away]), &[&away]);
    let compressed = der_of_kind(9);
    let packed = encrypted(&container("compressed-data", &compressed), &[&away]);
    let mislabelled = container("signed-data", &cms::encrypt(TEXT, &[&away], ContentCipher::Aes256Gcm).unwrap());
    let mislabelled = String::from_utf8(mislabelled).unwrap().replace("application/pkcs7-mime", "text/plain");
    let mislabelled = encrypted(mislabelled.as_bytes(), &[&away]);
    let layers = (0..6).fold(TEXT.to_vec(), |entity, _| {
        let (certificate, key) = ward.signer("ch-b/signing");
        container("signed-data", &signed(&certificate, &key, &entity, CMSOptions::empty()))
    });
    let layers = encrypted(&layers, &[&away]);
    let mut cut = String::from_utf8(encrypted(TEXT, &[&away])).unwrap();
    let at = cut.len() - 12;
    let flipped = if cut.as_bytes()[at] == b'A' { "B" } else { "A" };
    cut.replace_range(at..=at, flipped);
    let cases = [
        ("entier", encrypted(TEXT, &[&away]), "waiting inner-server"),
        ("ailleurs", encrypted(TEXT, &[&stranger]), "held quarantine"),
        ("deux", twice, "failed opening-failed"),
        ("tasse", packed, "failed opening-failed"),
        ("deguise", mislabelled, "failed opening-failed"),
        ("couches", layers, "failed opening-failed"),
        ("abime", cut.into_bytes(), "failed opening-failed"),
    ];
    let ids: Vec<_> =
        cases.iter().map(|(id, entity, _)| ward.petit_brings(&[MARTIN], &from_petit(id, entity)).unwrap()).collect();
    for id in &ids {
        // Without the key it comes back.
        ward.release(*id);
        assert_eq!(ward.states(*id), ["held quarantine"]);
    }
    ward.reconfigure(OTHER_KEY, OWN_KEY);
    for (id, (name, _, expected)) in ids.iter().zip(&cases) {
        ward.release(*id);
        assert_eq!(ward.states(*id), [*expected], "{name}");
    }
    assert_eq!(ward.notices(), 5);
}

/// ContentInfo of a kind that nobody opens.
fn der_of_kind(kind: u8) -> Vec<u8> {
    let oid = [0x06, 0x0b, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, kind];
    let mut der = vec![0x30, 0x11];
    der.extend_from_slice(&oid);
    der.extend_from_slice(&[0xa0, 0x02, 0x30, 0x00]);
    der
}

impl Ward {
    fn signer(&self, name: &str) -> (openssl::x509::X509, PKey<openssl::pkey::Private>) {
        let read = |suffix: &str| fs::read(self.folder.path().join(format!("{name}.{suffix}"))).unwrap();
        let certificate = openssl::x509::X509::from_pem(&read("pem")).unwrap();
        (certificate, PKey::private_key_from_pem(&read("key")).unwrap())
    }
}

fn signed(
    certificate: &openssl::x509::X509,
    key: &PKey<openssl::pkey::Private>,
    entity: &[u8],
    options: CMSOptions,
) -> Vec<u8> {
    let options = options | CMSOptions::BINARY;
    CmsContentInfo::sign(Some(certificate), Some(key), None, Some(entity), options).unwrap().to_der().unwrap()
}

/// What a person refused stays refused, whatever comes between: a sender that cannot be told for a while, a block,
/// a hold and its release. The key that came meanwhile opens nothing.
#[test]
fn what_was_refused_in_quarantine_is_never_delivered() {
    let reads = "use = \"reads\"\ncertificate = \"../book/ch-b-reads.pem\"";
    let signs = "use = \"signs\"\ncertificate = \"../book/ch-b-signs.pem\"";
    let ward = Ward::without_its_key();
    let away = ward.certificate("ch-a/decryption.pem");
    let server = &ward.space.gateways[1];
    let message = |id: &str| mail_of(MOREAU, MARTIN, id, &encrypted(TEXT, &[&away]));
    let taken = |id: &str| ward.brings(server, MOREAU, &[MARTIN], &message(id)).unwrap();
    let (untold, blocked, held) = (taken("sans-nouvelle"), taken("bloque"), taken("suspendu"));
    // Nothing can be sealed for the sender's domain: nobody can be told.
    ward.reconfigure(reads, signs);
    for id in [untold, blocked, held] {
        ward.refuse(id);
    }
    ward.attend();
    ward.reconfigure(OTHER_KEY, OWN_KEY);
    for _ in 0..3 {
        ward.later(HOUR);
        for id in [untold, blocked, held] {
            assert_eq!((ward.states(id), ward.notices()), (vec!["waiting quarantine-refused".to_owned()], 0));
        }
    }
    // A hold of the operator, and its release.
    let recipient = ward.message(held).recipients.remove(0);
    let code = quarantine::code_of_hold(&recipient).unwrap().to_owned();
    let reason = Reason { code, text: trail::SafeText::of("en attente") };
    ward.order(held, Step::Hold { at: ward.gateway.now(), reason });
    ward.release(held);
    assert_eq!(ward.states(held), ["waiting quarantine-refused"]);
    // A block of the sender that holds its mail back.
    let (since, until) = (ward.gateway.now(), ward.gateway.now().plus(HOUR * 4));
    let (by, reason) = ("exploitant-test".to_owned(), "compte pirate".to_owned());
    let target = Target::Mailbox(Address::parse(MOREAU).unwrap());
    let block = Block { id: String::new(), target, mail: Fate::Hold, since, until, by, reason };
    OrderBook::below(&ward.gateway.data()).block(block).unwrap();
    for _ in 0..6 {
        ward.later(HOUR);
        for id in [untold, blocked, held] {
            assert_eq!(ward.states(id), ["waiting quarantine-refused"]);
        }
    }
    ward.reconfigure(signs, reads);
    ward.later(HOUR * 8);
    for id in [untold, blocked, held] {
        assert_eq!(ward.states(id), ["failed quarantine-refused"]);
    }
    assert_eq!(ward.notices(), 3);
}

/// Promise 1: a signature by a certificate that only our own configuration holds; its file is replaced between 250
/// and delivery.
#[test]
fn a_signer_whose_certificate_file_was_replaced_is_still_read() {
    let ward = Ward::with(|text| text);
    let reader = ward.certificate("ch-a/decryption.pem");
    let (certificate, key) = ward.signer("ch-b/signing");
    let server = &ward.space.gateways[1];
    let bring = |id: &str, options| {
        let inner = mail_of(MOREAU, MARTIN, id, TEXT);
        let wrapped = [&b"Content-Type: message/rfc822\r\n\r\n"[..], &inner].concat();
        let signed = container("signed-data", &signed(&certificate, &key, &wrapped, options));
        let message = mail_of(MOREAU, MARTIN, id, &encrypted(&signed, &[&reader]));
        ward.brings(server, MOREAU, &[MARTIN], &message).unwrap()
    };
    let (without, with) = (bring("sans", CMSOptions::CMS_NOCERTS), bring("avec", CMSOptions::empty()));
    let lent = |id| Notes::beside(&ward.message(id).info).to_json().contains("BEGIN CERTIFICATE");
    assert_eq!((lent(without), lent(with)), (true, false), "kept where the message lacks it");
    let replaced = ward.folder.path().join("book/ch-b-signs.pem");
    fs::copy(ward.folder.path().join("book/ch-a-signs.pem"), &replaced).unwrap();
    ward.gateway.reload().unwrap();
    let known = ward.gateway.snapshot().ever_known_certificates();
    assert!(known.iter().all(|known| *known != ward.certificate("ch-b/signing.pem")), "nobody here knows it now");
    ward.attend();
    for id in [without, with] {
        assert_eq!(ward.states(id), ["waiting inner-server"]);
    }
}

/// A row that bears no mark of ours (an older build wrote it, or somebody took the marks away): it is listed with what
/// to do, released it comes back, refused or at its end its sender is told; of the message itself nothing is.
#[test]
fn a_row_without_marks_waits_for_a_person_and_ends_with_a_notice() {
    let ward = Ward::with(|text| text);
    let (refused, left) = (ward.unmarked("ancien-1"), ward.unmarked("ancien-2"));
    ward.attend();
    for id in [refused, left] {
        let recipient = ward.message(id).recipients.remove(0);
        let reason = quarantine::reason(&recipient).unwrap().text.to_string();
        assert!(reason.contains("not as this gateway writes it") && reason.contains("or refuse it"), "{reason}");
        ward.release(id);
        assert_eq!(ward.states(id), ["held quarantine"]);
    }
    assert_eq!(ward.notices(), 0);
    ward.refuse(refused);
    ward.attend();
    assert_eq!((ward.states(refused), ward.notices()), (vec!["failed quarantine-refused".to_owned()], 1));
    let notice = ward.notice();
    assert!(notice.contains("Action: failed") && notice.contains(MARTIN), "{notice}");
    assert!(
        !notice.contains("ancien-1") && !notice.contains("Subject: ..."),
        "nothing that the row does not say: {notice}"
    );
    ward.later(HOUR * 24 * 6);
    assert_eq!((ward.states(left), ward.notices()), (vec!["expired".to_owned()], 2));
}

/// A Message-ID is its sender's choice and may be used again: of many messages only the newest are looked at for a
/// report (RX).
#[test]
fn a_report_is_looked_up_among_the_newest_messages() {
    let ward = Ward::with(|text| text);
    let ids: Vec<QueueId> = (0..25).map(|_| ward.unmarked("encore")).collect();
    let report = mail::report::IncomingReport {
        kind: mail::report::ReportKind::Delivery,
        envelope_id: None,
        message_ids: vec!["ailleurs@porte.test".into(), "encore@porte.test".into()],
        claims: Vec::new(),
    };
    let found = ward.runtime.block_on(reports::about(&ward.gateway, &report)).unwrap();
    let found: Vec<QueueId> = found.iter().map(|message| message.info.id).collect();
    assert_eq!(found, ids.iter().rev().take(20).copied().collect::<Vec<_>>());
}
