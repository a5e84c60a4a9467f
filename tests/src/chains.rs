//! Certificate chains that are wrong in one or two ways, made from a seed and properly signed, so that a
//! verifier has to judge what they say and not only whether the signature is true.

use openssl::{
    bn::{BigNum, BigNumContext},
    ec::{EcGroup, EcKey, EcPoint},
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    sign::Signer,
};
use pki::der::{self, tag};

use crate::pkits::Policies;

/// The moment at which these chains are judged: 2026-09-21.
pub const AT: i64 = 1_790_000_000;

const ECDSA_SHA256: &str = "1.2.840.10045.4.3.2";
const POLICY: [&str; 3] = ["1.2.3.4.1", "1.2.3.4.2", "2.5.29.32.0"];

/// One chain, and what was done to it.
#[derive(Debug)]
pub struct Chain {
    /// DER, holder first, anchor last.
    pub certificates: Vec<Vec<u8>>,
    /// Inputs about policies.
    pub policies: Policies,
    /// What is wrong with it.
    pub story: String,
}

/// Numbers from a seed (xorshift64*): the same in every run and on every machine.
#[derive(Debug, Clone)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.roll() >> 33).unwrap() % limit
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let at = self.below(all.len());
        &all[at]
    }
}

/// One certificate before it is signed.
#[derive(Debug, Clone)]
struct Draft {
    version: Option<u64>,
    serial: Vec<u8>,
    issuer: Vec<u8>,
    subject: Vec<u8>,
    from: &'static str,
    to: &'static str,
    /// Which key it carries and which one signs it.
    key: usize,
    signer: usize,
    outer_algorithm: &'static str,
    extensions: Vec<(String, bool, Vec<u8>)>,
    damage_before: Option<(usize, u8)>,
    damage_after: Option<(usize, u8)>,
}

impl Draft {
    fn set(&mut self, oid: &str, critical: bool, value: Vec<u8>) {
        self.extensions.retain(|(known, ..)| known != oid);
        self.extensions.push((oid.to_owned(), critical, value));
    }

    fn drop(&mut self, oid: &str) {
        self.extensions.retain(|(known, ..)| known != oid);
    }

    fn sign(&self, keys: &[PKey<Private>]) -> Vec<u8> {
        let algorithm = |oid| der::sequence(&[der::oid(oid).unwrap()]);
        let mut members = Vec::new();
        members.extend(self.version.map(|version| der::context(0, &[der::integer(version)])));
        members.extend([
            der::tlv(tag::INTEGER, &self.serial),
            algorithm(ECDSA_SHA256),
            self.issuer.clone(),
            der::sequence(&[
                der::tlv(tag::UTC_TIME, self.from.as_bytes()),
                der::tlv(tag::UTC_TIME, self.to.as_bytes()),
            ]),
            self.subject.clone(),
            keys[self.key].public_key_to_der().unwrap(),
        ]);
        if !self.extensions.is_empty() {
            let all: Vec<Vec<u8>> = self
                .extensions
                .iter()
                .map(|(oid, critical, value)| {
                    let mut members = vec![der::oid(oid).unwrap()];
                    members.extend(critical.then(|| der::boolean(true)));
                    members.push(der::octet_string(value));
                    der::sequence(&members)
                })
                .collect();
            members.push(der::context(3, &[der::sequence(&all)]));
        }
        let mut body = der::sequence(&members);
        flip(&mut body, self.damage_before);
        let mut signer = Signer::new(MessageDigest::sha256(), &keys[self.signer]).unwrap();
        let signature = signer.sign_oneshot_to_vec(&body).unwrap();
        // Where the signature starts depends on nothing random, so the damage is the same in every run.
        flip(&mut body, self.damage_after);
        der::sequence(&[body, algorithm(self.outer_algorithm), der::bit_string(&signature)])
    }
}

fn flip(octets: &mut [u8], damage: Option<(usize, u8)>) {
    if let Some((at, bit)) = damage {
        let at = at % octets.len();
        octets[at] ^= 1 << bit;
    }
}

fn name(parts: &[(&str, u8, &str)]) -> Vec<u8> {
    let rdns: Vec<Vec<u8>> = parts
        .iter()
        .map(|(oid, kind, value)| {
            der::set_of(&[der::sequence(&[der::oid(oid).unwrap(), der::tlv(*kind, value.as_bytes())])])
        })
        .collect();
    der::sequence(&rdns)
}

fn dn(cn: &str) -> Vec<u8> {
    name(&[
        ("2.5.4.6", tag::PRINTABLE_STRING, "FR"),
        ("2.5.4.10", tag::UTF8_STRING, "CH EXEMPLE-TEST"),
        ("2.5.4.3", tag::UTF8_STRING, cn),
    ])
}

fn policies(oids: &[&str]) -> Vec<u8> {
    let all: Vec<Vec<u8>> = oids.iter().map(|oid| der::sequence(&[der::oid(oid).unwrap()])).collect();
    der::sequence(&all)
}

/// Makes chains.
#[derive(Debug)]
pub struct Mutator {
    dice: Dice,
    keys: Vec<PKey<Private>>,
}

const BASIC: &str = "2.5.29.19";
const USAGE: &str = "2.5.29.15";
const SAN: &str = "2.5.29.17";
const CONSTRAINTS: &str = "2.5.29.30";
const POLICIES: &str = "2.5.29.32";
const MAPPINGS: &str = "2.5.29.33";
const POLICY_CONSTRAINTS: &str = "2.5.29.36";
const INHIBIT_ANY: &str = "2.5.29.54";

impl Mutator {
    /// Always the same chains for the same seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // Keys with known small secrets: they protect nothing.
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let mut context = BigNumContext::new().unwrap();
        let mut key = |secret: u32| {
            let secret = BigNum::from_u32(secret).unwrap();
            let mut point = EcPoint::new(&group).unwrap();
            point.mul_generator2(&group, &secret, &mut context).unwrap();
            PKey::from_ec_key(EcKey::from_private_components(&group, &secret, &point).unwrap()).unwrap()
        };
        Self { dice: Dice(seed), keys: (0..7).map(|n| key(0x5ea0_0001 + n)).collect() }
    }

    /// The next chain: one to four certificates below an anchor, wrong in none, one or two ways.
    pub fn next_chain(&mut self) -> Chain {
        let authorities = self.dice.below(4);
        let mut drafts = self.plain(authorities);
        let mut story = vec![format!("{authorities} between")];
        let mut policies = Policies { accepted: vec![], explicit: false, inhibit_mapping: false, inhibit_any: false };
        if self.dice.below(3) == 0 {
            self.with_policies(&mut drafts, &mut policies, &mut story);
        }
        for _ in 0..self.dice.below(3) {
            story.push(self.mutate(&mut drafts));
        }
        let certificates = drafts.iter().map(|draft| draft.sign(&self.keys)).collect();
        let story = format!("{}; {policies:?}", story.join(", "));
        Chain { certificates, policies, story }
    }

    /// A good chain: holder, authorities, anchor.
    fn plain(&self, authorities: usize) -> Vec<Draft> {
        let label = |position: usize, last: usize| match position {
            0 => dn("titulaire"),
            _ if position == last => dn("AC Racine"),
            _ => dn(&format!("AC {position}")),
        };
        let last = authorities + 1;
        (0..=last)
            .map(|position| {
                let above = (position + 1).min(last);
                let mut draft = Draft {
                    version: Some(2),
                    serial: vec![0x11, u8::try_from(position).unwrap()],
                    issuer: label(above, last),
                    subject: label(position, last),
                    from: "250101000000Z",
                    to: "350101000000Z",
                    key: position,
                    signer: above,
                    outer_algorithm: ECDSA_SHA256,
                    extensions: Vec::new(),
                    damage_before: None,
                    damage_after: None,
                };
                if position == 0 {
                    draft.set(USAGE, true, der::named_bits(&[true]));
                    let names = [
                        der::context_primitive(1, b"a@ch-exemple.test"),
                        der::context_primitive(2, b"www.ch-exemple.test"),
                    ];
                    draft.set(SAN, false, der::sequence(&names));
                } else {
                    draft.set(BASIC, true, der::sequence(&[der::boolean(true)]));
                    draft.set(USAGE, true, der::named_bits(&[false, false, false, false, false, true, true]));
                }
                draft
            })
            .collect()
    }

    /// Certificate policies on the whole chain, and random inputs to the algorithm.
    fn with_policies(&mut self, drafts: &mut [Draft], wanted: &mut Policies, story: &mut Vec<String>) {
        let last = drafts.len() - 1;
        let sets: [&[&str]; 5] = [&POLICY[..1], &POLICY[1..2], &POLICY[..2], &POLICY[2..], &POLICY[..1]];
        for draft in &mut drafts[..last] {
            let set = *self.dice.pick(&sets);
            draft.set(POLICIES, self.dice.below(2) == 0, policies(set));
        }
        for draft in &mut drafts[1..last] {
            if self.dice.below(4) == 0 {
                let (from, to) = if self.dice.below(2) == 0 { (0, 1) } else { (1, 0) };
                let pair = der::sequence(&[der::oid(POLICY[from]).unwrap(), der::oid(POLICY[to]).unwrap()]);
                draft.set(MAPPINGS, true, der::sequence(&[pair]));
                story.push(format!("mapping {from} to {to}"));
            }
            if self.dice.below(4) == 0 {
                let number = u8::try_from(self.dice.below(3)).unwrap();
                let which = u8::from(self.dice.below(3) == 0);
                let value = der::sequence(&[der::context_primitive(which, &[number])]);
                draft.set(POLICY_CONSTRAINTS, true, value);
                story.push(format!("policy constraint {which}: {number}"));
            }
            if self.dice.below(5) == 0 {
                let number = u64::try_from(self.dice.below(2)).unwrap();
                draft.set(INHIBIT_ANY, true, der::integer(number));
                story.push(format!("inhibit any {number}"));
            }
        }
        let sets: [&[&str]; 4] = [&[], &POLICY[..1], &POLICY[1..2], &POLICY[..2]];
        let accepted = *self.dice.pick(&sets);
        wanted.accepted = accepted.iter().map(|oid| (*oid).to_owned()).collect();
        wanted.explicit = self.dice.below(3) == 0;
        wanted.inhibit_mapping = self.dice.below(5) == 0;
        wanted.inhibit_any = self.dice.below(5) == 0;
    }

    /// One fault, or one constraint, at a random place below the anchor.
    fn mutate(&mut self, drafts: &mut [Draft]) -> String {
        let last = drafts.len() - 1;
        let any = self.dice.below(last);
        // Authorities stand at 1 to last - 1; without any, the holder takes their place.
        let above = if last > 1 { 1 + self.dice.below(last - 1) } else { 0 };
        let serial = u64::try_from(self.dice.below(3)).unwrap();
        let what = self.dice.below(26);
        let said = match what {
            0 => self.constrain(&mut drafts[above]),
            1 => self.constrain(&mut drafts[above]),
            2 => {
                drafts[above].drop(BASIC);
                "no basic constraints".to_owned()
            }
            3 => {
                drafts[above].set(BASIC, true, der::sequence::<Vec<u8>>(&[]));
                "not an authority".to_owned()
            }
            4 => {
                drafts[above].set(BASIC, true, der::sequence(&[der::boolean(true), der::integer(serial)]));
                format!("path length {serial}")
            }
            5 => {
                drafts[above].set(BASIC, false, der::sequence(&[der::boolean(true)]));
                "basic constraints not critical".to_owned()
            }
            6 => {
                drafts[above].set(USAGE, true, der::named_bits(&[true, false, false, false, false, false, true]));
                "no keyCertSign".to_owned()
            }
            7 => {
                drafts[any].drop(USAGE);
                "no key usage".to_owned()
            }
            8 => {
                drafts[any].extensions.push(("1.2.3.4.5".to_owned(), true, der::null()));
                "unknown critical extension".to_owned()
            }
            9 => {
                drafts[any].extensions.push(("1.2.3.4.5".to_owned(), false, der::null()));
                "unknown extension".to_owned()
            }
            10 => {
                let copy = drafts[any].extensions.first().cloned();
                drafts[any].extensions.extend(copy);
                "duplicate extension".to_owned()
            }
            11 => {
                drafts[any].to = "260101000000Z";
                "expired".to_owned()
            }
            12 => {
                drafts[any].from = "300101000000Z";
                "not yet valid".to_owned()
            }
            13 => {
                drafts[any].issuer = dn("AC Autre");
                "another issuer's name".to_owned()
            }
            14 => {
                drafts[any].signer = 6;
                "signed by another key".to_owned()
            }
            15 => {
                drafts[any].issuer = recased(&drafts[any].issuer);
                "issuer in other letters".to_owned()
            }
            16 => {
                drafts[any].version = *self.dice.pick(&[None, Some(1), Some(3)]);
                format!("version {:?}", drafts[any].version)
            }
            17 => {
                drafts[any].serial = self.dice.pick(&[vec![0], vec![0x80], vec![0x7f; 21], vec![0, 1], vec![]]).clone();
                format!("serial {:02x?}", drafts[any].serial)
            }
            18 => {
                drafts[any].outer_algorithm = "1.2.840.10045.4.3.3";
                "algorithm named twice".to_owned()
            }
            19 => {
                let id = der::sequence(&[der::context_primitive(0, b"quelqu'un")]);
                drafts[any].set("2.5.29.35", false, id);
                "another key identifier".to_owned()
            }
            20 | 21 => {
                let damage = (self.dice.below(1 << 20), u8::try_from(self.dice.below(8)).unwrap());
                drafts[any].damage_before = Some(damage);
                format!("octet {} damaged before it was signed", damage.0)
            }
            22 => {
                let damage = (self.dice.below(1 << 20), u8::try_from(self.dice.below(8)).unwrap());
                drafts[any].damage_after = Some(damage);
                format!("octet {} damaged", damage.0)
            }
            23 => {
                let names = self.dice.pick(&["b@tiers.test", "a@mail.ch-exemple.test", "a@b@x.test", "é@x.test", ""]);
                drafts[0].set(SAN, false, der::sequence(&[der::context_primitive(1, names.as_bytes())]));
                format!("address {names:?}")
            }
            24 => {
                drafts[above].subject = drafts[above].issuer.clone();
                if above > 0 {
                    drafts[above - 1].issuer = drafts[above].subject.clone();
                }
                "self-issued".to_owned()
            }
            _ => {
                let value = self.dice.pick(&[vec![], vec![5, 0], vec![0x30, 0], vec![0x30, 1]]).clone();
                let oid = *self.dice.pick(&[BASIC, USAGE, SAN, CONSTRAINTS, POLICIES, "2.5.29.37"]);
                let critical = self.dice.below(2) == 0;
                let said = format!("{oid} holds {value:02x?}, critical {critical}");
                drafts[any].set(oid, critical, value);
                said
            }
        };
        format!("{said} (certificate {any} or {above})")
    }

    /// Name constraints: permitted or excluded, that fit the holder or not.
    fn constrain(&mut self, draft: &mut Draft) -> String {
        let bases = [
            der::context(4, &[name(&[("2.5.4.6", tag::PRINTABLE_STRING, "FR")])]),
            der::context(4, &[dn("titulaire")]),
            der::context(4, &[name(&[("2.5.4.6", tag::PRINTABLE_STRING, "BE")])]),
            der::context_primitive(1, b"ch-exemple.test"),
            der::context_primitive(1, b".ch-exemple.test"),
            der::context_primitive(1, b"a@ch-exemple.test"),
            der::context_primitive(1, b"tiers.test"),
            der::context_primitive(2, b"ch-exemple.test"),
            der::context_primitive(2, b"www.ch-exemple.test"),
            der::context_primitive(2, b"tiers.test"),
            der::context_primitive(2, b"exemple.test"),
        ];
        let (base, number) = (self.dice.below(bases.len()), u8::from(self.dice.below(2) == 0));
        let subtrees = der::context(number, &[der::sequence(&[bases[base].clone()])]);
        draft.set(CONSTRAINTS, true, der::sequence(&[subtrees]));
        format!("{} base {base}", if number == 0 { "permitted" } else { "excluded" })
    }
}

/// The same name by RFC 5280 §7.1: its letters in the other case.
fn recased(encoded: &[u8]) -> Vec<u8> {
    let cn = ["AC Racine", "AC 1", "AC 2", "AC 3"].into_iter().find(|cn| dn(cn) == encoded);
    cn.map_or_else(|| encoded.to_vec(), |cn| dn(&cn.to_lowercase()))
}
