//! Containers that strangers send (RFC 5652): what they are, opening, verifying; whole and as they go by.

use std::io::{self, BufReader, Read};

use pki::{
    cms::{self, Attribute, ContentCipher, ContentReader, Opening, Outline, StreamFault},
    keys::{DecryptionKey, FileKey, SigningKey},
};

use crate::{
    Target, forge, samples,
    world::{NOW, PUBLISHER, READER_EC, READER_RSA, READER_X25519, SIGNER},
};

/// The target.
pub const TARGET: Target = Target {
    name: "cms",
    covers: &[
        "pki/src/cms/algorithm.rs",
        "pki/src/cms/attribute.rs",
        "pki/src/cms/container.rs",
        "pki/src/cms/content.rs",
        "pki/src/cms/identifier.rs",
        "pki/src/cms/kdf.rs",
        "pki/src/cms/oid.rs",
        "pki/src/cms/open.rs",
        "pki/src/cms/reader.rs",
        "pki/src/cms/recipient.rs",
        "pki/src/cms/signature.rs",
        "pki/src/cms/splitter.rs",
        "pki/src/cms/verify.rs",
    ],
    run,
    seeds: samples::cms::all,
};

/// What every seed holds: the only text that the kept keys ever signed or sealed.
pub const TEXT: &[u8] = b"Content-Type: text/plain\r\n\r\nBonjour.\r\n";

/// Octets that come in small pieces, as from a network.
struct Pieces<'d>(&'d [u8]);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = buffer.len().min(13);
        self.0.read(buffer.get_mut(..room).unwrap_or_default())
    }
}

fn run(data: &[u8]) -> bool {
    if let Some((b'w', text)) = data.split_first() {
        written(text);
        return false;
    }
    let kind = cms::kind(data).ok();
    let outline = match Outline::read(&mut BufReader::new(Pieces(data))) {
        Ok(outline) => outline,
        Err(StreamFault::Refused(fault)) => {
            assert!(cms::verify(data, None, &[]).is_err(), "{fault}: refused piece by piece only");
            return false;
        }
        Err(StreamFault::Io(error)) => panic!("nothing was read from anywhere: {error}"),
    };
    assert!(kind.is_none_or(|kind| kind == *outline.kind()), "one object is of one kind");
    verified(data, &outline);
    opened(data, &outline)
}

/// What we write can be read again: this text, with as much of it as is one value in an attribute.
fn written(text: &[u8]) {
    let extra: Vec<Attribute> =
        forge::parts(text).into_iter().flatten().map(|value| Attribute::single("1.2.3", value.to_vec())).collect();
    let (key, reader): (&FileKey, &FileKey) =
        if text.len().is_multiple_of(2) { (&SIGNER, &READER_EC) } else { (&PUBLISHER, &READER_RSA) };
    let Ok(signed) = cms::sign(text, key, NOW, &extra) else { return };
    let verified = cms::verify(&signed, None, &[]).expect("what we sign verifies");
    assert_eq!((&*verified.content, &verified.signer), (text, SigningKey::certificate(key)));
    let apart = cms::sign_detached(text, key, NOW, &extra).expect("signed before");
    assert!(cms::verify(&apart, Some(text), &[]).is_ok(), "what we sign apart verifies");
    for cipher in [ContentCipher::Aes256Gcm, ContentCipher::Aes256Cbc] {
        let sealed = cms::encrypt(text, &[DecryptionKey::certificate(reader)], cipher).expect("sealed");
        let keys: [&dyn DecryptionKey; 1] = [reader];
        assert_eq!(*cms::open(&sealed, &keys).expect("what we seal opens").content, text);
    }
}

fn verified(data: &[u8], outline: &Outline) {
    let known = [SigningKey::certificate(&*SIGNER).clone()];
    for detached in [None, Some(TEXT)] {
        let whole = cms::verify(data, detached, &known).ok();
        let in_pieces = match detached {
            Some(text) => cms::verify_stream(outline, true, &mut BufReader::new(Pieces(text)), &known),
            None => cms::verify_stream(outline, false, &mut ContentReader::new(Pieces(data)), &known),
        };
        let Some(whole) = whole else {
            assert!(in_pieces.is_err(), "verified piece by piece only");
            continue;
        };
        let proof = in_pieces.expect("what verifies whole verifies piece by piece");
        assert_eq!(proof.signer, whole.signer);
        if [&SIGNER, &PUBLISHER].iter().any(|kept| *SigningKey::certificate(&***kept) == whole.signer) {
            assert_eq!(&*whole.content, TEXT, "our signers signed one text only");
        }
        let _ = (proof.attribute("1.2.840.113549.1.9.4"), proof.scheme, proof.digest, proof.signing_time);
    }
}

fn opened(data: &[u8], outline: &Outline) -> bool {
    let keys: [&dyn DecryptionKey; 3] = [&*READER_RSA, &*READER_EC, &*READER_X25519];
    let Ok(opened) = cms::open(data, &keys) else { return false };
    let again = cms::reopen(data, &opened.content_key).expect("what opened once opens again");
    assert_eq!(*again, *opened.content);
    let opening = Opening::with_content_key(outline, &opened.content_key).expect("the key fits");
    let mut out = Vec::new();
    opening.decrypt(&mut Pieces(data), &mut out).expect("what opens whole opens piece by piece");
    assert_eq!(out, *opened.content);
    assert!(!opened.authenticated || *opened.content == TEXT, "a tag vouches for what was sealed");
    // In CBC another initialisation vector gives another first block (H9), which no seed has. A key that is random, as
    // for a broken padding, gives anything.
    *opened.content != TEXT && opened.content.get(16..) == TEXT.get(16..)
}
