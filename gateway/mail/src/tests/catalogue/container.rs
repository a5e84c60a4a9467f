//! Containers and cryptography: A2 to A11.

use pki::{
    cms::{self, ContentCipher, RsaTransport},
    der,
};

use super::{
    Cast, Row, forged,
    tree::{Tree, changed, oid},
    *,
};

const GCM: ContentCipher = ContentCipher::Aes256Gcm;
const CBC: ContentCipher = ContentCipher::Aes256Cbc;
/// Where things are in an encrypted container.
const RECIPIENTS: &[usize] = &[1, 0, 1];
const ALGORITHM: &[usize] = &[1, 0, 2, 1];
const CIPHERTEXT: &[usize] = &[1, 0, 2, 2];
const TAG: &[usize] = &[1, 0, 3];
const FAILED: &str = "open:decryption_failed";

fn row(form: &'static str, got: String, expected: &'static str) -> Row {
    Row { form, got, expected }
}

pub(super) fn a2(cast: &Cast) -> Vec<Row> {
    let sealed = cast.sealed(CBC);
    let edit = |change: fn(&mut Tree)| cast.of(&changed(&sealed, change));
    let block = |tree: &mut Tree, number: usize| tree.at(CIPHERTEXT).octets()[number * 16..][..16].to_vec();
    let swapped = changed(&sealed, |tree| {
        let (one, other) = (block(tree, 3), block(tree, 4));
        tree.at(CIPHERTEXT).octets()[48..80].copy_from_slice(&[other, one].concat());
    });
    let gadget = changed(&sealed, |tree| {
        // A known block in front, chosen by a changed initialisation vector: the exfiltration gadget itself.
        let first = block(tree, 0);
        let iv = tree.at(ALGORITHM).at(&[1]).octets().clone();
        let known = b"Content-Type: ap";
        let wanted = b"<img src=\"http:/";
        let mixed: Vec<u8> = iv.iter().zip(known).zip(wanted).map(|((a, b), c)| a ^ b ^ c).collect();
        let ciphertext = tree.at(CIPHERTEXT).octets();
        let tail = [&mixed[..], &first, ciphertext].concat();
        *ciphertext = tail;
    });
    let cbc = |entity: &[u8]| cast.says(&mail(ZOE, &encrypted(&cast.world, entity, CBC)));
    vec![
        row("bit in the initialisation vector", edit(|tree| tree.at(ALGORITHM).at(&[1]).octets()[3] ^= 4), FAILED),
        row("bit in the first block", edit(|tree| tree.at(CIPHERTEXT).octets()[0] ^= 1), FAILED),
        row("bit in the last block", edit(|tree| *tree.at(CIPHERTEXT).octets().last_mut().unwrap() ^= 1), FAILED),
        row("blocks swapped", cast.of(&swapped), FAILED),
        row("gadget in front", cast.of(&gadget), FAILED),
        row(
            "last block cut off",
            edit(|tree| {
                let octets = tree.at(CIPHERTEXT).octets();
                octets.truncate(octets.len() - 16);
            }),
            FAILED,
        ),
        row("sound and unsigned", cbc(&text("bonjour")), FAILED),
        row(
            "sound around a signature that is no root",
            cbc(&forged::mixed(&[&text("x"), &in_base64(&cast.signed())])),
            FAILED,
        ),
    ]
}

/// The container of the other kind around the same key and content.
fn as_other(container: &[u8], kind: &str, algorithm: Tree, tag: bool) -> Vec<u8> {
    changed(container, |tree| {
        tree[0] = oid(kind);
        *tree.at(ALGORITHM) = algorithm;
        let octets = tree.at(CIPHERTEXT).octets();
        octets.truncate(octets.len() / 16 * 16);
        let body = tree.at(&[1, 0]);
        body.truncate(3);
        if tag {
            body.push(Tree::of(&der::octet_string(&[7; 16])));
        }
    })
}

const ENVELOPED: &str = "1.2.840.113549.1.7.3";
const AUTHENTICATED: &str = "1.2.840.113549.1.9.16.1.23";
const AES256_CBC: &str = "2.16.840.1.101.3.4.1.42";
const AES256_GCM: &str = "2.16.840.1.101.3.4.1.46";

fn algorithm(name: &str, parameters: Vec<u8>) -> Tree {
    Tree::of(&der::sequence(&[der::oid(name).unwrap(), parameters]))
}

fn gcm(nonce: usize, tag: u64) -> Vec<u8> {
    der::sequence(&[der::octet_string(&vec![7; nonce]), der::integer(tag)])
}

pub(super) fn a3(cast: &Cast) -> Vec<Row> {
    let (authenticated, enveloped) = (cast.sealed(GCM), cast.sealed(CBC));
    let cbc = || algorithm(AES256_CBC, der::octet_string(&[7; 16]));
    let other = |kind, algorithm, tag| cast.of(&as_other(&authenticated, kind, algorithm, tag));
    vec![
        row("GCM content as CBC in an envelope", other(ENVELOPED, cbc(), false), FAILED),
        row("CBC in authenticated data", other(AUTHENTICATED, cbc(), true), "open:cms_content_cipher"),
        row(
            "GCM in an envelope, without its tag",
            other(ENVELOPED, algorithm(AES256_GCM, gcm(12, 16)), false),
            "open:cms_content_cipher",
        ),
        row(
            "CBC content as GCM",
            cast.of(&as_other(&enveloped, AUTHENTICATED, algorithm(AES256_GCM, gcm(12, 16)), true)),
            FAILED,
        ),
    ]
}

pub(super) fn a4(cast: &Cast) -> Vec<Row> {
    let sealed = cast.sealed(GCM);
    let tag = |octets: usize| cast.of(&changed(&sealed, |tree| tree.at(TAG).octets().resize(octets, 0)));
    let with = |of: Tree| cast.of(&changed(&sealed, |tree| *tree.at(ALGORITHM) = of));
    let default = der::sequence(&[der::octet_string(&[7; 12])]);
    vec![
        row("no tag", tag(0), "open:cms_tag_length"),
        row("tag of 4 octets", tag(4), "open:cms_tag_length"),
        row("tag of 12 octets", tag(12), "open:cms_tag_length"),
        row("tag of 17 octets", tag(17), "open:cms_tag_length"),
        row("announced tag of 4 octets", with(algorithm(AES256_GCM, gcm(12, 4))), "open:cms_tag_length"),
        row("the default of 12 octets", with(algorithm(AES256_GCM, default)), "open:cms_tag_length"),
        row("CCM", with(algorithm("2.16.840.1.101.3.4.1.47", gcm(12, 16))), "open:cms_content_cipher"),
        row("a stream cipher", with(algorithm("1.2.840.113549.3.4", der::null())), "open:cms_content_cipher"),
        row("tag of another message", cast.of(&changed(&sealed, |tree| tree.at(TAG).octets()[0] ^= 1)), FAILED),
    ]
}

pub(super) fn a5(cast: &Cast) -> Vec<Row> {
    let (gcm_sealed, cbc_sealed) = (cast.sealed(GCM), cast.sealed(CBC));
    let nonce = |octets: usize| {
        cast.of(&changed(&gcm_sealed, |tree| *tree.at(ALGORITHM) = algorithm(AES256_GCM, gcm(octets, 16))))
    };
    let vector =
        |octets: usize| cast.of(&changed(&cbc_sealed, |tree| tree.at(ALGORITHM).at(&[1]).octets().resize(octets, 7)));
    const REFUSED: &str = "open:cms_nonce_length";
    vec![
        row("nonce of no octets", nonce(0), REFUSED),
        row("nonce of 8 octets", nonce(8), REFUSED),
        row("nonce of 16 octets", nonce(16), REFUSED),
        row("nonce of 64 KB", nonce(65_536), REFUSED),
        row("vector of no octets", vector(0), REFUSED),
        row("vector of 8 octets", vector(8), REFUSED),
        row("vector of 4 KB", vector(4096), REFUSED),
    ]
}

pub(super) fn a6(cast: &Cast) -> Vec<Row> {
    let sealed = cast.sealed(GCM);
    let wrapped = |octets: usize| {
        cast.of(&changed(&sealed, |tree| tree.at(RECIPIENTS).at(&[0, 3, 0, 1]).octets().resize(octets, 7)))
    };
    let wrap = |name: &str| cast.of(&changed(&sealed, |tree| tree.at(RECIPIENTS).at(&[0, 2, 1])[0] = oid(name)));
    const LENGTH: &str = "open:cms_wrapped_key_length";
    vec![
        row("empty", wrapped(0), LENGTH),
        row("8 octets", wrapped(8), LENGTH),
        row("a key of AES-128", wrapped(24), LENGTH),
        row("one octet short", wrapped(39), LENGTH),
        row("one block long", wrapped(48), LENGTH),
        row("wrap with padding", wrap("2.16.840.1.101.3.4.1.48"), "open:cms_key_management"),
        row("a wrap weaker than the key", wrap("2.16.840.1.101.3.4.1.5"), "open:cms_key_management"),
        row("triple DES wrap", wrap("1.2.840.113549.1.9.16.3.6"), "open:cms_key_management"),
    ]
}

pub(super) fn a7(cast: &Cast) -> Vec<Row> {
    let sealed = cast.sealed(GCM);
    let edit = |change: &dyn Fn(&mut Tree)| cast.of(&changed(&sealed, |tree| change(tree)));
    let stranger = |tag: u8| Tree::of(&der::tlv(tag, &der::integer(0)));
    let originator = |tree: &mut Tree, with: Tree| *tree.at(RECIPIENTS).at(&[0, 1]) = with;
    let rsa = |parameters: Option<Vec<u8>>| {
        let sealed = cms::encrypt(&text("x"), &[cast.rsa.certificate()], GCM).unwrap();
        let changed = changed(&sealed, |tree| {
            let algorithm = tree.at(RECIPIENTS).at(&[0, 2]);
            algorithm.truncate(1);
            algorithm.extend(parameters.map(|parameters| Tree::of(&parameters)));
        });
        opened_by(&cast.rsa, &changed)
    };
    vec![
        row(
            "a password beside us",
            edit(&|tree| tree.at(RECIPIENTS).push(stranger(0xa3))),
            "open:cms_password_recipient",
        ),
        row(
            "a shared key beside us",
            edit(&|tree| tree.at(RECIPIENTS).push(stranger(0xa2))),
            "open:cms_shared_key_recipient",
        ),
        row("no wrap named", edit(&|tree| tree.at(RECIPIENTS).at(&[0, 2]).truncate(1)), "open:cms_malformed"),
        row(
            "the sender's static key",
            edit(&|tree| {
                let static_key = tree.at(RECIPIENTS).at(&[0, 3, 0, 0]).clone();
                originator(tree, Tree::Of(0xa0, vec![static_key]));
            }),
            "open:cms_originator_key",
        ),
        row(
            "a point that is on no curve",
            edit(&|tree| tree.at(RECIPIENTS).at(&[0, 1, 0, 1]).octets()[40] ^= 1),
            "open:cms_originator_key",
        ),
        row(
            "the point at infinity",
            edit(&|tree| *tree.at(RECIPIENTS).at(&[0, 1, 0, 1]).octets() = vec![0, 0]),
            "open:cms_originator_key",
        ),
        row(
            "originator's certificates",
            edit(&|tree| tree.at(&[1, 0]).insert(1, Tree::Of(0xa0, vec![]))),
            "open:cms_originator_info",
        ),
        row("OAEP without parameters", rsa(None), "open:cms_malformed"),
        row("OAEP with a NULL", rsa(Some(der::null())), "open:cms_malformed"),
        row(
            "OAEP of halves",
            rsa(Some(der::sequence(&[der::context(
                0,
                &[der::sequence(&[der::oid("2.16.840.1.101.3.4.2.1").unwrap()])],
            )]))),
            "open:cms_key_management",
        ),
    ]
}

/// What comes of a container for this key.
fn opened_by(key: &FileKey, container: &[u8]) -> String {
    let message = mail(ZOE, &in_base64(container));
    match crate::open(&message, crate::Access::Keys(&[key]), &[], &Limits::default()) {
        Err(fault) => format!("open:{}", fault.code()),
        Ok(_) => "opened".to_owned(),
    }
}

pub(super) fn a8(cast: &Cast) -> Vec<Row> {
    let signed = cast.signed();
    let digests = |names: &[&str]| {
        let set = names.iter().map(|name| Tree::Of(0x30, vec![oid(name)])).collect();
        cast.of(&changed(&signed, |tree| *tree.at(&[1, 0, 1]) = Tree::Of(0x31, set)))
    };
    const WEAK: &str = "Refuse:weak_signature_algorithm";
    const SHA1: &str = "1.3.14.3.2.26";
    const SHA512: &str = "2.16.840.1.101.3.4.2.3";
    vec![
        row("no digest", digests(&[]), WEAK),
        row("another digest", digests(&[SHA512]), WEAK),
        row("SHA-1 alone", digests(&[SHA1]), WEAK),
        row("a digest that does not exist", digests(&["1.2.3.4"]), WEAK),
        row("seventeen digests", digests(&[SHA512; 17]), "Refuse:signature_malformed"),
        row("the signer uses SHA-1", cast.of(&changed(&signed, |tree| tree.at(&[1, 0, 4, 0, 2])[0] = oid(SHA1))), WEAK),
    ]
}

pub(super) fn a9(cast: &Cast) -> Vec<Row> {
    let letter = signed(&cast.world.doctor, &text("bonjour"));
    let to = [cast.rsa.certificate()];
    let old = cms::encrypt_with(&letter, &to, CBC, RsaTransport::Pkcs1).unwrap();
    let other = cms::encrypt_with(&letter, &to, CBC, RsaTransport::Pkcs1).unwrap();
    let new = cms::encrypt(&letter, &to, GCM).unwrap();
    let agreed = cast.sealed(GCM);
    let key = |tree: &mut Tree| tree.at(RECIPIENTS).at(&[0, 3]).octets().clone();
    let wrapped = |container: &[u8], with: Vec<u8>| {
        opened_by(&cast.rsa, &changed(container, |tree| *tree.at(RECIPIENTS).at(&[0, 3]).octets() = with))
    };
    let twice = changed(&old, |tree| {
        let mut broken = tree.at(RECIPIENTS)[0].clone();
        *broken.at(&[3]).octets() = vec![1; 256];
        tree.at(RECIPIENTS).insert(0, broken);
    });
    let larger = vec![0xff; 256];
    vec![
        row("v1.5 without padding", wrapped(&old, vec![1; 256]), FAILED),
        row("v1.5 larger than the modulus", wrapped(&old, larger.clone()), FAILED),
        row("v1.5 cut short", wrapped(&old, vec![1; 100]), FAILED),
        row("v1.5 around another key", wrapped(&old, key(&mut Tree::of(&other))), FAILED),
        row("v1.5 under GCM", wrapped(&new, key(&mut Tree::of(&old))), FAILED),
        row("OAEP broken", wrapped(&new, vec![1; 256]), FAILED),
        row("OAEP larger than the modulus", wrapped(&new, larger), FAILED),
        row("a broken entry of ours before the good one", opened_by(&cast.rsa, &twice), FAILED),
        row("wrong tag", opened_by(&cast.rsa, &changed(&new, |tree| tree.at(TAG).octets()[15] ^= 1)), FAILED),
        row(
            "agreed key broken",
            cast.of(&changed(&agreed, |tree| tree.at(RECIPIENTS).at(&[0, 3, 0, 1]).octets()[0] ^= 1)),
            FAILED,
        ),
        row("the sound one, for comparison", opened_by(&cast.rsa, &old), "opened"),
    ]
}

pub(super) fn a10(cast: &Cast) -> Vec<Row> {
    let (good, evil) = (text("bonjour"), text("faux"));
    let opaque = |content: &[u8]| cms::sign(content, &cast.world.doctor, NOW, &[]).unwrap();
    let detached = cms::sign_detached(&good, &cast.world.doctor, NOW, &[]).unwrap();
    let clear = |signature: &[u8]| cast.says(&mail(ZOE, &forged::clear_with(&good, signature)));
    let empty =
        changed(&detached, |tree| tree.at(&[1, 0, 2]).push(Tree::of(&der::context(0, &[der::octet_string(&[])]))));
    const PRESENT: &str = "Refuse:detached_with_content";
    vec![
        row("other content inside", clear(&opaque(&evil)), PRESENT),
        row("the same content inside", clear(&opaque(&good)), PRESENT),
        row("empty content inside", clear(&empty), PRESENT),
        row("the content missing from an opaque one", cast.of(&detached), "Refuse:signature_malformed"),
        row("content in a streamed form", clear(&Tree::of(&opaque(&evil)).streamed()), PRESENT),
    ]
}

pub(super) fn a11(cast: &Cast) -> Vec<Row> {
    let signed = cast.signed();
    let signers = |count: usize| {
        cast.of(&changed(&signed, |tree| {
            let signers = tree.at(&[1, 0, 4]);
            let one = signers[0].clone();
            signers.clear();
            signers.extend(std::iter::repeat_n(one, count));
        }))
    };
    let other = cms::sign(&text("bonjour"), &cast.world.gateway, NOW, &[]).unwrap();
    let good_and_other = changed(&signed, |tree| {
        let theirs = Tree::of(&other).at(&[1, 0, 4, 0]).clone();
        tree.at(&[1, 0, 4]).push(theirs);
    });
    let certificates_only = changed(&signed, |tree| {
        tree.at(&[1, 0, 4]).clear();
        tree.at(&[1, 0, 2]).truncate(1);
    });
    const COUNT: &str = "Refuse:signer_count";
    vec![
        row("nobody", signers(0), COUNT),
        row("the same one twice", signers(2), COUNT),
        row("one good one among two", cast.of(&good_and_other), COUNT),
        row("sixty-four", signers(64), COUNT),
        row("certificates only", cast.of(&certificates_only), COUNT),
    ]
}
