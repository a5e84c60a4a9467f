//! Some of what came is opened with hospital B's key: figures count only for messages that can be read.

use mail::{Access, Limits, Signature};
use pki::keys::FileKey;
use tests::bench::load::{Letter, id};
use tests::world::World;

use crate::Round;

/// Opens the sample and compares what is inside with what was sent.
///
/// # Panics
/// When a message does not open, is not signed by hospital A, or is not what was sent.
pub(crate) fn check(world: &World, letter: &Letter, rounds: &[Round]) {
    let folder = world.folder();
    let read = |path: &str| std::fs::read(folder.join(path)).unwrap();
    let key = FileKey::from_pem(&read("ch-b/decryption.key"), &read("ch-b/decryption.pem"), None).unwrap();
    let signer = pki::certificate::Certificate::list_from_pem(&read("book/ch-a-signs.pem")).unwrap().remove(0);
    let mut opened_count = 0;
    for message in rounds.iter().flat_map(|round| &round.arrived.sample) {
        let opened = mail::open(message, Access::Keys(&[&key]), &[], &Limits::default()).unwrap();
        assert!(opened.encryption.as_ref().is_some_and(|encryption| encryption.authenticated));
        let Signature::Good(signed) = &opened.signature else { panic!("{:?}", opened.signature) };
        assert_eq!(signed.signer.fingerprint(), signer.fingerprint());
        let (run, number) = opened.facts.message_id.as_deref().and_then(tests::bench::load::read_id).unwrap();
        let sent = letter.message(run, number);
        // The gateway puts its trace on top; everything below is as it was sent.
        assert!(opened.inner.bytes(1 << 30).unwrap().ends_with(&sent), "{} is not what was sent", id(run, number));
        opened_count += 1;
    }
    assert!(opened_count > 0, "no message of the sample arrived");
    println!(
        "Opened with hospital B's key, signature of hospital A verified, content as sent: {opened_count} messages"
    );
}
