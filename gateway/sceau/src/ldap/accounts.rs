//! Application accounts: a name and a scrypt hash of its password (RFC 7914), never the password.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ident::Timestamp;
use openssl::{hash::MessageDigest, memcmp, pkcs5::scrypt, pkey::PKey, rand::rand_bytes, sign::Signer};
use zeroize::Zeroizing;

use crate::config::{Loaded, Problem, read_text};

/// Work of new hashes: 32 MB, a tenth of a second.
const WORK: Work = Work { n: 32_768, r: 8, p: 1 };
/// Memory that a hash may take.
const MOST_MEMORY: u64 = 256 * 1024 * 1024;
/// Octets of salt and of hash.
const SALT: usize = 16;
const HASH: usize = 32;
/// How long a password that was right is remembered: address books bind anew at each keystroke.
const REMEMBERED: Duration = Duration::from_secs(300);
/// Passwords that are remembered at most.
const MOST_REMEMBERED: usize = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Work {
    n: u64,
    r: u64,
    p: u64,
}

impl Work {
    /// Whether a hash by it can be computed within the memory that one may take.
    fn is_bearable(self) -> bool {
        let memory = self.n.saturating_mul(self.r).saturating_mul(128);
        self.n.is_power_of_two()
            && self.n >= 1024
            && (1..=32).contains(&self.r)
            && (1..=16).contains(&self.p)
            && memory <= MOST_MEMORY
    }
}

/// The stored form of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    work: Work,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash")
    }
}

impl PasswordHash {
    /// Hashes a new password under a fresh salt.
    ///
    /// # Errors
    /// A sentence when the cryptographic library fails.
    pub fn of(password: &[u8]) -> Result<Self, String> {
        let mut salt = vec![0; SALT];
        rand_bytes(&mut salt).map_err(|error| error.to_string())?;
        let hash = computed(password, &salt, WORK)?;
        Ok(Self { work: WORK, salt, hash: hash.to_vec() })
    }

    /// Reads `scrypt$N$r$p$salt$hash`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('$');
        if parts.next() != Some("scrypt") {
            return None;
        }
        let mut number = || parts.next()?.parse::<u64>().ok();
        let work = Work { n: number()?, r: number()?, p: number()? };
        let mut octets = || STANDARD.decode(parts.next()?).ok();
        let (salt, hash) = (octets()?, octets()?);
        let sound = work.is_bearable() && (8..=64).contains(&salt.len()) && (16..=64).contains(&hash.len());
        (sound && parts.next().is_none()).then_some(Self { work, salt, hash })
    }

    /// The form that [`Self::parse`] reads.
    pub fn text(&self) -> String {
        let Work { n, r, p } = self.work;
        format!("scrypt${n}${r}${p}${}${}", STANDARD.encode(&self.salt), STANDARD.encode(&self.hash))
    }

    fn is(&self, password: &[u8]) -> bool {
        computed_long(password, &self.salt, self.work, self.hash.len())
            .is_ok_and(|hash| hash.len() == self.hash.len() && memcmp::eq(&hash, &self.hash))
    }
}

fn computed(password: &[u8], salt: &[u8], work: Work) -> Result<Zeroizing<Vec<u8>>, String> {
    computed_long(password, salt, work, HASH)
}

fn computed_long(password: &[u8], salt: &[u8], work: Work, length: usize) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut hash = Zeroizing::new(vec![0; length]);
    let most = MOST_MEMORY.saturating_mul(2);
    scrypt(password, salt, work.n, work.r, work.p, most, &mut hash).map_err(|error| error.to_string())?;
    Ok(hash)
}

/// One account.
#[derive(Debug, Clone)]
struct Account {
    /// As it is configured: people write it in any case.
    name: String,
    hash: PasswordHash,
    whole: bool,
}

/// The accounts of a configuration.
#[derive(Debug, Clone)]
pub struct Accounts {
    by_name: HashMap<String, Account>,
    /// Judged where there is no such account: a name that exists takes no longer than one that does not.
    nobody: PasswordHash,
}

impl Accounts {
    /// Reads the hashes that the configuration names.
    ///
    /// # Errors
    /// A [`Problem`] that names the file.
    pub fn load(loaded: &Loaded) -> Result<Self, Problem> {
        let mut by_name = HashMap::new();
        for account in &loaded.config.ldap.accounts {
            let path = loaded.path(&account.password);
            let what = "holds no password hash: write it with `sceau annuaire password`";
            let hash = PasswordHash::parse(&read_text(&path)?).ok_or_else(|| Problem::of(path, what))?;
            let name = account.name.clone();
            by_name.insert(name.to_lowercase(), Account { name, hash, whole: account.whole });
        }
        // As much as for the dearest account there is: time does not tell which names exist.
        let cost = |work: &Work| work.n.saturating_mul(work.r).saturating_mul(work.p);
        let work = by_name.values().map(|account: &Account| account.hash.work).max_by_key(cost).unwrap_or(WORK);
        Ok(Self { by_name, nobody: PasswordHash { work, salt: vec![0; SALT], hash: vec![0; HASH] } })
    }

    /// The account whose password this is. Takes a tenth of a second.
    pub fn check(&self, name: &str, password: &[u8]) -> Option<Known> {
        let account = self.by_name.get(&name.to_lowercase());
        let right = account.map_or(&self.nobody, |account| &account.hash).is(password);
        account.filter(|_| right).map(Known::of)
    }

    /// Whether an account has this name.
    pub fn names(&self, name: &str) -> bool {
        self.by_name.contains_key(&name.to_lowercase())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Whether an account is as it was: with the same password and the same rights.
    pub fn have(&self, known: &Known) -> bool {
        self.by_name.get(&known.name.to_lowercase()).is_some_and(|account| Known::of(account) == *known)
    }

    /// What names an account and its password now: another password is another mark.
    fn mark(&self, name: &str) -> Option<&PasswordHash> {
        self.by_name.get(&name.to_lowercase()).map(|account| &account.hash)
    }
}

/// An account whose password was right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its name as it is configured.
    pub name: String,
    /// Whether it may copy everything.
    pub whole: bool,
    hash: PasswordHash,
}

impl Known {
    fn of(account: &Account) -> Self {
        Self { name: account.name.clone(), whole: account.whole, hash: account.hash.clone() }
    }
}

/// Passwords that were right a moment ago, as keyed digests under a key of this process.
pub(super) struct Remembered {
    key: [u8; 32],
    until: Mutex<HashMap<Vec<u8>, Timestamp>>,
}

impl Remembered {
    pub(super) fn new(key: [u8; 32]) -> Self {
        Self { key, until: Mutex::default() }
    }

    /// The account whose password this was a moment ago, and is still.
    pub(super) fn knows(&self, accounts: &Accounts, name: &str, password: &[u8], now: Timestamp) -> Option<Known> {
        let mark = self.mark(accounts, name, password)?;
        let until = self.until.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        until.get(&mark).filter(|until| **until > now && until.since(now) <= REMEMBERED)?;
        accounts.by_name.get(&name.to_lowercase()).map(Known::of)
    }

    pub(super) fn remember(&self, accounts: &Accounts, name: &str, password: &[u8], now: Timestamp) {
        let Some(mark) = self.mark(accounts, name, password) else { return };
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if until.len() >= MOST_REMEMBERED {
            until.retain(|_, until| *until > now);
        }
        if until.len() < MOST_REMEMBERED {
            until.insert(mark, now.plus(REMEMBERED));
        }
    }

    fn mark(&self, accounts: &Accounts, name: &str, password: &[u8]) -> Option<Vec<u8>> {
        let hash = accounts.mark(name)?;
        let key = PKey::hmac(&self.key).ok()?;
        let mut signer = Signer::new(MessageDigest::sha256(), &key).ok()?;
        signer.update(&hash.salt).ok()?;
        signer.update(&hash.hash).ok()?;
        signer.update(password).ok()?;
        signer.sign_to_vec().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts(password: &[u8]) -> Accounts {
        let hash = PasswordHash::parse(&PasswordHash::of(password).unwrap().text()).unwrap();
        let by_name = HashMap::from([("app".to_owned(), Account { name: "App".to_owned(), hash, whole: true })]);
        let small = Work { n: 1024, r: 1, p: 1 };
        Accounts { by_name, nobody: PasswordHash { work: small, salt: vec![0; SALT], hash: vec![0; HASH] } }
    }

    #[test]
    fn only_the_right_password_of_the_right_account() {
        let accounts = accounts(b"correct horse");
        let known = accounts.check("APP", b"correct horse").unwrap();
        assert_eq!((known.name.as_str(), known.whole), ("App", true), "one account, however it is written");
        assert!(accounts.have(&known));
        assert!(!self::accounts(b"correct horse").have(&known), "another hash");
        assert_eq!(accounts.check("app", b"correct hors"), None);
        assert_eq!(accounts.check("other", b"correct horse"), None);
    }

    #[test]
    fn what_was_right_is_remembered_for_a_while_until_the_password_changes() {
        let (old, now) = (accounts(b"one"), Timestamp::from_seconds(1000));
        let remembered = Remembered::new([1; 32]);
        assert_eq!(remembered.knows(&old, "app", b"one", now), None);
        remembered.remember(&old, "app", b"one", now);
        assert_eq!(remembered.knows(&old, "app", b"one", now.plus(Duration::from_secs(299))), old.check("app", b"one"));
        assert_eq!(remembered.knows(&old, "app", b"two", now), None);
        assert_eq!(remembered.knows(&old, "app", b"one", now.plus(REMEMBERED)), None);
        assert_eq!(remembered.knows(&accounts(b"one"), "app", b"one", now), None, "another hash");
    }

    #[test]
    fn hashes_that_would_cost_too_much_or_nothing_are_refused() {
        let good = PasswordHash::of(b"x").unwrap().text();
        assert!(PasswordHash::parse(&good).is_some());
        for bad in [
            good.replace("$32768$", "$16777216$"),
            good.replace("$32768$", "$1$"),
            good.replace("$32768$", "$30000$"),
            good.replace("scrypt", "plain"),
            format!("{good}$"),
            "scrypt$32768$8$1$$".to_owned(),
            String::new(),
        ] {
            assert!(PasswordHash::parse(&bad).is_none(), "{bad}");
        }
    }
}
