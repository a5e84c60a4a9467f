//! Every single bit of a sealed message, changed (issue "S/MIME", must show 2): refused, or the same message
//! from the same signer with the same verdict. Nothing else may come out.
//!
//! Two sweeps over each sealed message: over the mail file as it travels, and over the octets of its container,
//! written anew in base64. `tests/run` takes the parts that have a structure whole and a stride through the
//! rest; `SCEAU_TESTS_TIER=full` takes every bit:
//!
//! ```text
//! SCEAU_TESTS_TIER=full cargo nextest run -p mail flips
//! ```

use std::{collections::BTreeSet, io::Write as _, ops::Range, sync::Mutex, thread};

use pki::keys::DecryptionKey;
use zeroize::Zeroizing;

use super::*;
use crate::{Access, Envelope, HeaderBlock, Judgement, Verdict, judge, media::TransferEncoding, mime, open};

/// What a reader would get, and what is said about it.
#[derive(Clone, PartialEq, Eq)]
struct Shown {
    inner: Zeroizing<Vec<u8>>,
    judgement: Judgement,
}

/// One sealed message and who opens it.
struct Subject {
    name: &'static str,
    world: World,
    profile: Profile,
    sealed: Vec<u8>,
    original: Shown,
    container: Vec<u8>,
}

/// 10 KB of a letter with an attachment: base64 and text, header fields that are protected and such that are not.
fn letter() -> Vec<u8> {
    let attachment: String = (0..110).map(|line| format!("{:076}\n", line * 7919)).collect();
    let message = wire(&format!(
        "Date: Sat, 21 Nov 2026 22:57:00 +0000\n\
         From: =?utf-8?Q?Zo=C3=A9_MARTIN-TEST?= <zoe@ch-exemple.test>\n\
         To: <b@ch-autre.test>\n\
         Subject: Compte rendu de Mme TEST\n\
         Message-ID: <flips@ch-exemple.test>\n\
         MIME-Version: 1.0\n\
         Content-Type: multipart/mixed; boundary=limite\n\
         \n\
         --limite\n\
         Content-Type: text/plain; charset=utf-8\n\
         Content-Transfer-Encoding: 8bit\n\
         \n\
         Bonjour, voilà le compte rendu fictif.\n\
         \n\
         --limite\n\
         Content-Type: application/octet-stream; name=compte-rendu.bin\n\
         Content-Transfer-Encoding: base64\n\
         \n\
         {attachment}\n\
         --limite--\n"
    ));
    assert!((9_000..11_000).contains(&message.len()), "{}", message.len());
    message
}

impl Subject {
    fn new(name: &'static str, profile: Profile, keys: KeyAlgorithm) -> Self {
        let world = World::with(keys);
        let recipients = [address("b@ch-autre.test")];
        // Ours and another's: what is written for the other is not ours to judge.
        let to = [world.other_reader.certificate(), world.reader.certificate()];
        let sealed = seal(&SealRequest {
            message: &letter(),
            recipients: &recipients,
            signer: &world.doctor,
            to: &to,
            profile,
            inside: crate::Inside::Binary,
            at: NOW,
            assurance: Some(&assurance()),
            extra: &[],
            authserv_id: US,
            subject: crate::DEFAULT_SUBJECT,
            limits: &Limits::default(),
        })
        .unwrap()
        .bytes;
        let block = HeaderBlock::parse(&sealed, &Limits::default()).unwrap();
        let container = mime::decode(block.body(), TransferEncoding::Base64).unwrap().into_owned();
        let original = shown(&world, &sealed).unwrap();
        assert_eq!(original.judgement.verdict, Verdict::Accept, "{:?}", original.judgement);
        assert_eq!(*original.inner, letter());
        Self { name, world, profile, sealed, original, container }
    }

    /// The mail around another container.
    fn around(&self, container: &[u8]) -> Vec<u8> {
        let block = HeaderBlock::parse(&self.sealed, &Limits::default()).unwrap();
        let mut mail = [block.block(), b"\r\n"].concat();
        mime::write_base64(&mut mail, container);
        mail
    }

    /// The octets of the container that decide everything: our wrapped key, nonce, ciphertext, tag.
    fn vital(&self) -> [Range<usize>; 4] {
        let members = children(&self.container, &[1, 0]);
        let infos = children(&self.container, &[1, 0, 1]);
        let ours = infos
            .into_iter()
            .position(|info| contains(&self.container[info], &serial_of(self.world.reader.certificate())))
            .unwrap();
        let transport = self.container[range(&self.container, &[1, 0, 1, ours]).0] == 0x30;
        let wrapped = if transport { vec![1, 0, 1, ours, 3] } else { vec![1, 0, 1, ours, 3, 0, 1] };
        let tag = if members.len() == 4 { range(&self.container, &[1, 0, 3]).1 } else { 0..0 };
        let nonce: &[usize] = if self.profile == Profile::Gateway { &[1, 0, 2, 1, 1, 0] } else { &[1, 0, 2, 1, 1] };
        let content = |path: &[usize]| range(&self.container, path).1;
        [content(&wrapped), content(nonce), content(&[1, 0, 2, 2]), tag]
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

fn serial_of(certificate: &Certificate) -> Vec<u8> {
    pki::der::unsigned(certificate.serial())
}

/// Where a DER value begins, and where its content is.
fn value(der: &[u8], at: usize) -> (usize, Range<usize>) {
    let first = usize::from(der[at + 1]);
    let (length, start) = if first < 0x80 {
        (first, at + 2)
    } else {
        let octets = first & 0x7f;
        let length = der[at + 2..at + 2 + octets].iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet));
        (length, at + 2 + octets)
    };
    (at, start..start + length)
}

/// The value at the end of a path of child numbers, from the outermost.
fn range(der: &[u8], path: &[usize]) -> (usize, Range<usize>) {
    let (mut at, mut content) = value(der, 0);
    for number in path {
        let mut child = content.start;
        for _ in 0..*number {
            child = value(der, child).1.end;
        }
        (at, content) = value(der, child);
    }
    (at, content)
}

/// The values inside the one at the end of a path, each with its header.
fn children(der: &[u8], path: &[usize]) -> Vec<Range<usize>> {
    let content = range(der, path).1;
    let mut found = Vec::new();
    let mut at = content.start;
    while at < content.end {
        let end = value(der, at).1.end;
        found.push(at..end);
        at = end;
    }
    found
}

/// What a reader would get of this mail; `None` when it is refused.
fn shown(world: &World, mail: &[u8]) -> Option<Shown> {
    let keys: [&dyn DecryptionKey; 1] = [&world.reader];
    let opened = open(mail, Access::Keys(&keys), &[], &Limits::default()).ok()?;
    let (sender, recipients) = (address("zoe@ch-exemple.test"), [address("b@ch-autre.test")]);
    let envelope = Envelope { sender: Some(&sender), recipients: &recipients };
    let judgement = judge(&opened, &envelope, &world.trust());
    (judgement.verdict != Verdict::Refuse).then(|| Shown { inner: bytes(&opened), judgement })
}

/// What came of all flips.
#[derive(Default)]
struct Tally {
    refused: usize,
    same: usize,
    /// Something else was shown: what must never be. By where and which bit.
    faults: Vec<String>,
    /// Where the same message came out although a bit was changed.
    harmless: BTreeSet<usize>,
}

/// Flips each of `bits` of `of`, makes a mail of it, and looks at what is shown.
fn sweep(subject: &Subject, of: &[u8], bits: &[usize], mail: impl Fn(&[u8]) -> Vec<u8> + Sync) -> Tally {
    let tally = Mutex::new(Tally::default());
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for worker in 0..workers {
            let (tally, mail) = (&tally, &mail);
            scope.spawn(move || {
                let mut flipped = of.to_vec();
                for bit in bits.iter().skip(worker).step_by(workers) {
                    let (at, mask) = (bit / 8, 1u8 << (bit % 8));
                    flipped[at] ^= mask;
                    let found = shown(&subject.world, &mail(&flipped));
                    flipped[at] ^= mask;
                    let mut tally = tally.lock().unwrap();
                    match found {
                        None => tally.refused += 1,
                        Some(found) if found == subject.original => {
                            tally.same += 1;
                            tally.harmless.insert(at);
                        }
                        Some(found) => {
                            let context = String::from_utf8_lossy(&of[at.saturating_sub(20)..(at + 20).min(of.len())])
                                .into_owned();
                            let what = if found.inner == subject.original.inner {
                                "the same message"
                            } else {
                                "another message"
                            };
                            let codes: Vec<_> = found.judgement.reasons.iter().map(|reason| reason.code).collect();
                            tally.faults.push(format!(
                                "octet {at} bit {} near {context:?}: {what}, {:?}, signature {:?}, {codes:?}",
                                bit % 8,
                                found.judgement.verdict,
                                found.judgement.signature
                            ));
                        }
                    }
                }
            });
        }
    });
    tally.into_inner().unwrap()
}

fn full() -> bool {
    std::env::var("SCEAU_TESTS_TIER").is_ok_and(|tier| tier == "full")
}

/// Some of the bits of `length` octets: in each range every `stride`th, elsewhere every 2039th; every bit in the
/// full tier. All strides are odd, so that all eight bits of an octet have their turn.
fn chosen(length: usize, ranges: &[(Range<usize>, usize)]) -> Vec<usize> {
    let stride = |at| ranges.iter().find(|(range, _)| range.contains(&at)).map_or(2039, |(_, stride)| *stride);
    (0..length * 8).filter(|bit| full() || bit % stride(bit / 8) == 0).collect()
}

fn report(line: &str) {
    println!("{line}");
    if let Some(file) = std::env::var_os("SCEAU_TESTS_SCORES") {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(file).unwrap();
        writeln!(file, "{line}").unwrap();
    }
}

impl Tally {
    #[track_caller]
    fn conclude(&self, subject: &Subject, what: &str) {
        let all = self.refused + self.same + self.faults.len();
        report(&format!(
            "Bit flips, {} {what}: {all} flipped, {} refused, {} without effect, {} shown otherwise",
            subject.name,
            self.refused,
            self.same,
            self.faults.len()
        ));
        assert!(self.faults.is_empty(), "{} {what}:\n{}", subject.name, self.faults.join("\n"));
        assert!(self.refused > 0 && all > 0);
    }
}

/// Both sweeps of one subject.
fn flip_all(subject: &Subject) {
    let header = HeaderBlock::parse(&subject.sealed, &Limits::default()).unwrap().block().len() + 2;
    let [key, nonce, ciphertext, tag] = subject.vital();
    assert!(key.len() >= 40 && nonce.len() >= 12 && ciphertext.len() > 10_000);
    assert_eq!(tag.len(), if subject.profile == Profile::Gateway { 16 } else { 0 });

    // The file: its header and the base64 of everything before and after the ciphertext.
    let place = |octet: usize| header + octet * 4 / 3 / 76 * 78 + octet * 4 / 3 % 76;
    let before = (header..place(ciphertext.start) + 8, 29);
    let after = (place(ciphertext.end) - 8..subject.sealed.len(), 3);
    let bits = chosen(subject.sealed.len(), &[(0..header, 7), before, after]);
    sweep(subject, &subject.sealed, &bits, <[u8]>::to_vec).conclude(subject, "mail file");

    // The container: the same, and what decides is always refused.
    let before = (0..ciphertext.start + 8, 19);
    let after = (ciphertext.end - 8..subject.container.len(), 1);
    let bits = chosen(subject.container.len(), &[(nonce.clone(), 1), (key.clone(), 11), before, after]);
    let tally = sweep(subject, &subject.container, &bits, |container| subject.around(container));
    tally.conclude(subject, "container");
    if subject.profile == Profile::Gateway {
        for (what, range) in [("wrapped key", key), ("nonce", nonce), ("ciphertext", ciphertext), ("tag", tag)] {
            let passed: Vec<_> = tally.harmless.range(range.clone()).collect();
            assert!(
                passed.is_empty(),
                "{}: changes of the {what} at {passed:?} of {range:?} went unseen",
                subject.name
            );
        }
    }
}

#[test]
fn flips_of_a_gateway_message_rsa() {
    flip_all(&Subject::new("gateway RSA-2048", Profile::Gateway, KeyAlgorithm::Rsa2048));
}

#[test]
fn flips_of_a_gateway_message_p256() {
    flip_all(&Subject::new("gateway P-256", Profile::Gateway, KeyAlgorithm::P256));
}

#[test]
fn flips_of_a_client_message_rsa() {
    flip_all(&Subject::new("client RSA-2048", Profile::Client, KeyAlgorithm::Rsa2048));
}

#[test]
fn flips_of_a_client_message_p256() {
    flip_all(&Subject::new("client P-256", Profile::Client, KeyAlgorithm::P256));
}
