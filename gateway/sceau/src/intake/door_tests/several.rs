//! A message for several domains of ours: each has to be able to read it by itself, and no key of any of them is used
//! for what another cannot read.

use std::{
    io::{self, Read},
    sync::atomic::{AtomicUsize, Ordering},
};

use mail::source::Source;
use pki::keys::{DecryptionKey, FileKey};

use super::*;

const ONE_IS_ENOUGH: &str = "\n[limits]\nunreadable_per_hour = 1\n";
const BOTH: [[&str; 2]; 2] = [[MARTIN, MOREAU], [MOREAU, MARTIN]];

fn der_for(readers: &[&Certificate]) -> Vec<u8> {
    cms::encrypt(TEXT, readers, ContentCipher::Aes256Gcm).unwrap()
}

fn named(id: &str, der: &[u8]) -> Vec<u8> {
    from_petit(id, &container("authEnveloped-data", der))
}

/// H4, decisions 0028 and 0042: what is for one of two domains is for nobody, sound or damaged, in whatever order, and
/// is never counted: no key was used.
#[test]
fn what_is_for_one_of_two_domains_says_nothing_about_its_key() {
    for (settings, taken) in [("", false), (QUARANTINE, true)] {
        let ward = Ward::with(|text| text + SECOND + settings + ONE_IS_ENOUGH);
        let readers = ["ch-a", "ch-b"].map(|name| ward.certificate(&format!("{name}/decryption.pem")));
        for (place, reader) in readers.iter().enumerate() {
            let sound = der_for(&[reader]);
            let mut damaged = sound.clone();
            *damaged.last_mut().unwrap() ^= 1;
            for (state, der) in [("sain", &sound), ("abime", &damaged)] {
                for (order, to) in BOTH.iter().enumerate() {
                    let outcome = ward.petit_brings(to, &named(&format!("{place}-{state}-{order}"), der));
                    match outcome {
                        Ok(id) if taken => assert!(ward.states(id).iter().all(|state| state == "held quarantine")),
                        outcome => {
                            assert_eq!((outcome, taken), (Err(RefusalId::OpeningFailed), false), "{state} {to:?}")
                        }
                    }
                }
            }
        }
        let [a, b] = &readers;
        let good = named("bon", &der_for(&[a, b]));
        assert!(ward.petit_brings(&[MARTIN, MOREAU], &good).is_ok(), "nothing was counted");
    }
}

/// A16: an entry that names a key proves nothing. Whoever adds one for another domain to a captured body has it read
/// by nobody there, and is counted.
#[test]
fn an_entry_that_only_names_a_domain_opens_nothing_for_it() {
    let ward = Ward::with(|text| text + SECOND + "\n[limits]\nunreadable_per_hour = 4\n");
    let [a, b] = ["ch-a", "ch-b"].map(|name| {
        let (certificate, key) = ward.signer(&format!("{name}/decryption"));
        FileKey::new(key, Certificate::from_openssl(&certificate).unwrap(), vec![]).unwrap()
    });
    let der = der_for(&[DecryptionKey::certificate(&a), DecryptionKey::certificate(&b)]);
    // One octet of a wrapped key, so that one of the two reads on, and the other fails as with any wrong key.
    let only = |reads: &FileKey, other: &FileKey| {
        let all = (0..der.len()).map(|place| {
            let mut altered = der.clone();
            altered[place] ^= 1;
            altered
        });
        let half = |altered: &Vec<u8>| {
            let failed = matches!(cms::open(altered, &[other]), Err(cms::OpenError::Failed));
            failed && cms::open(altered, &[reads]).is_ok()
        };
        all.into_iter().find(half).unwrap()
    };
    let (for_a, for_b) = (&only(&a, &b), &only(&b, &a));
    for (name, der) in [("a", for_a), ("b", for_b)] {
        for (order, to) in BOTH.iter().enumerate() {
            let heard = ward.petit_brings(to, &named(&format!("{name}-{order}"), der));
            assert_eq!(heard, Err(RefusalId::OpeningFailed), "for {name}, to {to:?}");
        }
    }
    assert_eq!(
        ward.petit_brings(&[MARTIN], &named("bon", &der)),
        Err(RefusalId::TooManyUnreadable),
        "four were counted"
    );
}

struct Passes(Vec<u8>, AtomicUsize);

impl Source for Passes {
    fn reader(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(self.0.get(usize::try_from(from).unwrap()..).unwrap_or_default()))
    }
}

/// A20: a message is gone through once, however many domains of ours it is for.
#[test]
fn the_number_of_domains_does_not_multiply_the_work() {
    let ward = Ward::with(|text| text + SECOND);
    let [a, b] = ["ch-a", "ch-b"].map(|name| ward.certificate(&format!("{name}/decryption.pem")));
    for message in [from_petit("nu", TEXT), named("scelle", &der_for(&[&a, &b]))] {
        let passes = |to: &[&str]| {
            let counted = Arc::new(Passes(message.clone(), AtomicUsize::new(0)));
            let source: Arc<dyn Source> = counted.clone();
            let to: Vec<Address> = to.iter().map(|to| Address::parse(to).unwrap()).collect();
            incoming::opened(&ward.gateway, &ward.gateway.snapshot(), &source, &to, true).unwrap();
            counted.1.load(Ordering::Relaxed)
        };
        let once = passes(&[MARTIN]);
        assert_eq!(BOTH.map(|to| passes(&to)), [once, once]);
    }
}
