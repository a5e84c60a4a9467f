//! H4, decision 0042: who plays again what was encrypted to us, under an author of its own, learns nothing of it.

use super::*;

const EVERY: &str = "\n[limits]\nunreadable_per_hour = ";
const BOTH: CMSOptions = CMSOptions::empty();

impl Ward {
    /// Signed opaquely by somebody of the cast, as mail programs do: the header stays outside.
    pub(super) fn signed_by(&self, name: &str, entity: &[u8]) -> Vec<u8> {
        let (certificate, key) = self.signer(name);
        container("signed-data", &signed(&certificate, &key, entity, BOTH))
    }

    /// The same, and altered since.
    fn broken_by(&self, name: &str, entity: &[u8]) -> Vec<u8> {
        let (certificate, key) = self.signer(name);
        let mut der = signed(&certificate, &key, entity, BOTH);
        let place = der.windows(7).position(|octets| octets == b"bonjour").unwrap();
        der[place] = b'B';
        container("signed-data", &der)
    }

    /// Signed around it, in the clear.
    pub(super) fn clearly_signed_by(&self, name: &str, entity: &[u8]) -> Vec<u8> {
        let (certificate, key) = self.signer(name);
        let detached = container("signed-data", &signed(&certificate, &key, entity, CMSOptions::DETACHED));
        let detached = String::from_utf8(detached).unwrap().replace("pkcs7-mime", "pkcs7-signature");
        let head =
            "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=b\r\n\r\n--b\r\n";
        [head.as_bytes(), entity, b"\r\n--b\r\n", detached.as_bytes(), b"\r\n--b--\r\n"].concat()
    }

    fn for_martin(&self, entity: &[u8]) -> Vec<u8> {
        encrypted(entity, &[&self.certificate("ch-a/decryption.pem")])
    }

    /// What the other hospital hears, as Dr MOREAU-TEST's.
    fn moreau_hears(&self, id: &str, entity: &[u8]) -> Result<QueueId, Refusal> {
        self.brings(&self.space.gateways[1], MOREAU, &[MARTIN], &mail_of(MOREAU, MARTIN, id, entity))
    }

    fn petit_hears(&self, id: &str, entity: &[u8]) -> Result<QueueId, Refusal> {
        self.brings(&self.space.operator, PETIT, &[MARTIN], &from_petit(id, entity))
    }

    /// The lists of people's certificates are gone: what they say is not known now.
    fn without_lists_of(&self, purpose: &str) {
        for suffix in ["-root.crl", ".crl"] {
            self.reconfigure(&format!("\"../crl/{purpose}{suffix}\","), "");
        }
    }
}

fn wrap(from: &str, id: &str) -> Vec<u8> {
    [&b"Content-Type: message/rfc822\r\n\r\n"[..], &mail_of(from, MARTIN, id, TEXT)].concat()
}

/// Bodies as Outlook, Thunderbird or a gateway seal them: none says by itself who its author is, or says it in what
/// is broken. Two operators play them; both hear what they hear of a damaged one, and it is counted.
#[test]
fn a_captured_body_without_an_author_of_its_own_tells_nothing_either() {
    let ward = Ward::with(|text| text + EVERY + "8\n");
    ward.without_lists_of("persons");
    let mut damaged = String::from_utf8(ward.for_martin(TEXT)).unwrap();
    let at = damaged.len() - 12;
    let other = if damaged.as_bytes()[at] == b'A' { "B" } else { "A" };
    damaged.replace_range(at..=at, other);
    let bodies = [
        ("abime", damaged.into_bytes()),
        ("domaine", ward.for_martin(&ward.signed_by("ch-a/signing", TEXT))),
        ("casse", ward.for_martin(&ward.broken_by("ch-a/signing", TEXT))),
        ("lettre", ward.for_martin(&ward.broken_by("ch-a/signing", &wrap(MARTIN, "lettre")))),
        ("carte", ward.for_martin(&ward.signed_by("cards/martin/signature", TEXT))),
        ("genre", ward.for_martin(&container("compressed-data", &der_of_kind(9)))),
        ("deux-fois", ward.for_martin(&ward.for_martin(TEXT))),
    ];
    let same = |heard: Vec<Refusal>| {
        let replies: Vec<_> = heard.iter().map(|refusal| format!("{:?}", refusal.reply("aide@x.test"))).collect();
        assert!(heard.iter().all(|refusal| refusal.id == RefusalId::OpeningFailed), "{heard:?}");
        assert!(replies.iter().all(|reply| *reply == replies[0]), "{replies:?}");
    };
    same(bodies.iter().map(|(id, body)| ward.petit_hears(id, body).unwrap_err()).collect());
    // Unsigned, from a domain that signs: that it lacks a signature is something that is inside.
    let unsigned = ("nu", ward.for_martin(TEXT));
    same(bodies.iter().chain([&unsigned]).map(|(id, body)| ward.moreau_hears(id, body).unwrap_err()).collect());
    // Every one was counted.
    let good = ward.for_martin(&ward.signed_by("ch-b/signing", TEXT));
    assert_eq!(ward.moreau_hears("bon", &good).unwrap_err().id, RefusalId::TooManyUnreadable);
    // However it is wrapped; what needs no key is looked at.
    let clear = ward.clearly_signed_by("ch-b/signing", &bodies[1].1);
    assert_eq!(ward.moreau_hears("autour", &clear).unwrap_err().id, RefusalId::TooManyUnreadable);
    let signed = ward.signed_by("ch-b/signing", &wrap(MOREAU, "signe"));
    assert_eq!(ward.moreau_hears("signe", &signed).unwrap_err().id, RefusalId::SealRequired);
    ward.clock.advance(HOUR);
    assert!(ward.moreau_hears("bon", &good).is_ok());
}

/// Who is known to have written it hears what is wrong with it, and nothing is counted against them.
#[test]
fn who_wrote_what_is_inside_is_told_what_is_wrong_with_it() {
    let ward = Ward::with(|text| text + EVERY + "1\n");
    let heard = |id: &str, entity: &[u8]| ward.moreau_hears(id, &ward.for_martin(entity)).map_err(|refusal| refusal.id);
    // The author's own card, one that signs no mail; the key that its domain reads with.
    for (id, signer) in [("carte", "cards/moreau/card"), ("lecture", "ch-b/decryption")] {
        assert_eq!(heard(id, &ward.signed_by(signer, TEXT)), Err(RefusalId::SignatureInvalid), "{signer}");
    }
    // The author under the encryption is of the operator's own domain, whoever signed it.
    assert_eq!(heard("nu", &wrap(MOREAU, "nu")), Err(RefusalId::SealRequired));
    let borrowed = ward.signed_by("ch-a/signing", &wrap(MOREAU, "autre"));
    assert_eq!(heard("autre", &borrowed), Err(RefusalId::SignerNotBound));
    let sealed = ward.signed_by("ch-b/signing", &wrap(MOREAU, "politique"));
    let rule = "smime = \"required\"\npolicies = [\"1.2.250.1.1\"]";
    ward.reconfigure("smime = \"required\"", rule);
    assert_eq!(heard("politique", &sealed), Err(RefusalId::PolicyNotAccepted));
    // The cipher is known without a key, that the rest of it opens is not.
    let old = "smime = \"required\"\nprofile = \"client\"\nciphers = [\"aes-256-cbc\"]";
    ward.reconfigure(rule, old);
    assert_eq!(heard("politique", &sealed), Err(RefusalId::AlgorithmNotAllowed));
    ward.reconfigure(old, "smime = \"required\"");
    ward.without_lists_of("persons");
    let undetermined = ward.signed_by("cards/moreau/signature", TEXT);
    assert_eq!(heard("inconnu", &undetermined), Err(RefusalId::SignatureUndetermined));
    assert!(heard("bon", &ward.signed_by("ch-b/signing", TEXT)).is_ok());
}

/// What was not encrypted, or not for us, tells nothing about a key: it is no failure to open (no false alarm).
#[test]
fn only_what_a_key_was_used_for_counts_as_not_opened() {
    let ward = Ward::with(|text| text + EVERY + "1\n");
    let stranger = ward.certificate("ch-b/decryption.pem");
    let unsealed = [
        ("signe", ward.signed_by("ch-b/signing", &wrap(MOREAU, "signe")), RefusalId::PeerNotForDomain),
        ("casse", ward.broken_by("ch-a/signing", TEXT), RefusalId::SignatureInvalid),
        ("genre", container("compressed-data", &der_of_kind(9)), RefusalId::ProtectionRefused),
        ("rien", container("enveloped-data", b"rien"), RefusalId::OpeningFailed),
        ("ailleurs", encrypted(TEXT, &[&stranger]), RefusalId::OpeningFailed),
    ];
    for (id, body, expected) in unsealed {
        assert_eq!(ward.petit_hears(id, &body).unwrap_err().id, expected, "{id}");
    }
    assert!(ward.petit_hears("bon", &ward.for_martin(TEXT)).is_ok());
    // One that could not be opened is one too many.
    assert_eq!(
        ward.petit_hears("deux", &ward.for_martin(&ward.for_martin(TEXT))).unwrap_err().id,
        RefusalId::OpeningFailed
    );
    assert_eq!(ward.petit_hears("bon-2", &ward.for_martin(TEXT)).unwrap_err().id, RefusalId::TooManyUnreadable);
}

/// What was taken unopened is answered by a notice: it says no more than the door would have.
#[test]
fn the_notice_about_a_captured_body_says_nothing_of_it_either() {
    let ward = Ward::without_its_key();
    let body = ward.for_martin(&ward.signed_by("cards/martin/signature", TEXT));
    let id = ward.petit_hears("capture", &body).unwrap();
    ward.reconfigure(OTHER_KEY, OWN_KEY);
    ward.release(id);
    assert_eq!(ward.states(id), ["failed opening-failed"]);
}

/// For whom an operator may not write is asked before a key of ours is used, whatever the envelope said; so is
/// whether the recipient is ours.
#[test]
fn what_needs_no_key_is_asked_before_one_is_used() {
    let ward = Ward::with(|text| text + EVERY + "1\n");
    let twice = ward.for_martin(&ward.for_martin(TEXT));
    let brings = |to: &str, message: &[u8]| {
        ward.brings(&ward.space.operator, PETIT, &[to], message).map_err(|refusal| refusal.id).unwrap_err()
    };
    assert_eq!(brings(MARTIN, &mail_of(MOREAU, MARTIN, "autre", &twice)), RefusalId::PeerNotForDomain);
    assert_eq!(brings(MOREAU, &from_petit("ailleurs", &twice)), RefusalId::RelayRefused);
    let hops: String =
        (0..200).map(|hop| format!("Received: from h{hop}.test; Sat, 21 Nov 2026 10:00:00 +0100\r\n")).collect();
    let looping = [hops.as_bytes(), &from_petit("boucle", &twice)].concat();
    assert_eq!(brings(MARTIN, &looping), RefusalId::Loop);
    ward.reconfigure("smime = \"never\"", "smime = \"never\"\nmax_incoming = \"1KB\"");
    assert_eq!(brings(MARTIN, &from_petit("gros", &twice)), RefusalId::TooLarge);
    ward.reconfigure("\nmax_incoming = \"1KB\"", "");
    assert!(ward.petit_hears("bon", &ward.for_martin(TEXT)).is_ok(), "nothing was counted");
}
