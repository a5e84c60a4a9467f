//! What a peer may learn from a message that cannot be opened: nothing but that (H4, H9, A9).

use std::{
    io::{self, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::*;
use crate::{
    OpenFault, mime, open_source,
    source::{InMemory, Letter, Room, Scratch, Source},
};

/// Room that counts what is read again of what was decrypted.
#[derive(Default)]
pub(super) struct Counting(pub(super) Arc<AtomicU64>);

pub(super) struct Counted<T>(pub(super) T, pub(super) Arc<AtomicU64>);

impl Room for Counting {
    fn scratch(&self, octets: u64) -> Box<dyn Scratch> {
        Box::new(Counted(InMemory.scratch(octets), Arc::clone(&self.0)))
    }
}

impl Write for Counted<Box<dyn Scratch>> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Scratch for Counted<Box<dyn Scratch>> {
    fn into_source(self: Box<Self>) -> io::Result<Arc<dyn Source>> {
        Ok(Arc::new(Counted(self.0.into_source()?, self.1)))
    }
}

impl Source for Counted<Arc<dyn Source>> {
    fn reader(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(Counted(self.0.reader(from)?, Arc::clone(&self.1))))
    }
}

impl Read for Counted<Box<dyn Read + Send + '_>> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let octets = self.0.read(buffer)?;
        self.1.fetch_add(octets as u64, Ordering::Relaxed);
        Ok(octets)
    }
}

/// Opening a message whose container was changed: the fault, and octets read of what came out.
fn opened(world: &World, sealed: &[u8], change: impl Fn(&mut Vec<u8>)) -> (Option<OpenFault>, u64) {
    let (header, body) = sealed.split_at(sealed.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4);
    let mut container = mime::decode(body, crate::media::TransferEncoding::Base64).unwrap().into_owned();
    change(&mut container);
    let mut message = header.to_vec();
    mime::write_base64(&mut message, &container);
    let room = Counting::default();
    let source = Letter::of(zeroize::Zeroizing::new(message));
    let keys: [&dyn pki::keys::DecryptionKey; 1] = [&world.reader];
    let outcome = open_source(Arc::new(source), crate::Access::Keys(&keys), &[], &Limits::default(), &room);
    (outcome.err(), room.0.load(Ordering::Relaxed))
}

/// A wrong padding is followed as far as a sound one around the same wrong content: neither answer nor work
/// tells them apart (A9).
#[test]
fn a9_a_wrong_padding_goes_as_far_as_a_sound_one() {
    let world = World::new();
    let text = format!("From: zoe@ch-exemple.test\nTo: b@ch-autre.test\n\n{}", "bonjour bonjour\n".repeat(40_000));
    let sealed = world.seal(&wire(&text), &["b@ch-autre.test"], Profile::Client).unwrap().bytes;
    assert_eq!(opened(&world, &sealed, |_| {}).0, None);
    // The last octet of the block before the last one decides what the last octet of the padding becomes.
    let padding = opened(&world, &sealed, |container| {
        let at = container.len() - 17;
        container[at] ^= 0x40;
    });
    // So many octets further on, the same damage falls on content, and the padding is sound.
    let content = opened(&world, &sealed, |container| {
        let at = container.len() - 33;
        container[at] ^= 0x40;
    });
    assert_eq!((&padding.0, &content.0), (&Some(OpenFault::Failed), &Some(OpenFault::Failed)));
    assert!(padding.1 > 600_000 && padding.1.abs_diff(content.1) < 200, "{} {}", padding.1, content.1);
}

/// Blocks appended behind a clear-signed message under CBC: the signature inside stays good, whatever the last
/// octets say of a padding, and the answer is one (A2, A9).
#[test]
fn a9_a_good_signature_inside_betrays_no_padding() {
    use super::forged::{clear_signed, encrypted, mail};
    let world = World::new();
    let entity = clear_signed(&world.doctor, &wire("Content-Type: text/plain\n\nbonjour\n"));
    let cipher = pki::cms::ContentCipher::Aes256Cbc;
    let sealed = mail("zoe@ch-exemple.test", &encrypted(&world, &entity, cipher));
    assert_eq!(opened(&world, &sealed, |_| {}).0, None, "as it came it is read");
    let mut sound = 0;
    for last in 0..=255u8 {
        let (fault, _) = opened(&world, &sealed, |container| {
            // The last two blocks again, the octet that decides the padding in all its values. Lengths on the
            // way down grow by as much.
            let blocks = container[container.len() - 32..].to_vec();
            *container = super::catalogue::tree::changed(container, |tree| {
                let octets = tree.at(&[1, 0, 2, 2]).octets();
                octets.extend_from_slice(&blocks);
                let at = octets.len() - 17;
                octets[at] = last;
            });
        });
        sound += usize::from(fault != Some(OpenFault::Failed));
    }
    assert_eq!(sound, 0);
}
