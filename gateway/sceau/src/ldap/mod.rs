//! The directory over LDAP: sockets, TLS, deadlines, bounds, accounts, and the book of certificates, around the session
//! of `annuaire`.

mod accounts;
mod book;
mod caller;
mod connection;
#[cfg(test)]
mod house;
mod pace;
mod port;
mod taken;

use std::{io, sync::Arc};

use annuaire::ldap::Pages;
use openssl::rand::rand_bytes;
use tokio::sync::Semaphore;

pub use accounts::{Accounts, PasswordHash};
pub use port::Port;

use crate::{
    allowance::Allowances,
    config::{Loaded, Problem},
    net::{
        octets::Octets,
        places::Places,
        tls::{Clients, TlsIdentity},
    },
};

/// What the LDAP face needs of a world, besides the directory itself.
#[derive(Clone)]
pub struct Held {
    accounts: Accounts,
    /// For ports that ask nobody for a certificate; nothing when there is none.
    tls: Option<TlsIdentity>,
}

impl Held {
    /// Reads what the configuration names.
    ///
    /// # Errors
    /// A [`Problem`] that names the file.
    pub fn load(loaded: &Loaded) -> Result<Self, Problem> {
        let accounts = Accounts::load(loaded)?;
        let server = &loaded.config.server;
        let asked_for = loaded.config.ldap.listeners.iter().any(|listener| !listener.certificates);
        let tls = match asked_for {
            true => {
                let (certificate, key) = (loaded.path(&server.certificate), loaded.path(&server.key));
                Some(TlsIdentity::load_for(Clients::NotAsked, &certificate, &key)?)
            }
            false => None,
        };
        Ok(Self { accounts, tls })
    }

    /// The same, whose identity shows clients what is held about its certificate.
    #[must_use]
    pub fn stapling(self, stapling: impl FnOnce(TlsIdentity) -> TlsIdentity) -> Self {
        Self { tls: self.tls.map(stapling), ..self }
    }
}

/// What all connections of the face share for as long as the process lives.
pub struct Face {
    pages: Pages,
    allowances: Allowances,
    /// Passwords that addresses tried.
    passwords: Allowances,
    /// Certificates that they showed.
    certificates: Allowances,
    /// One password is hashed at a time.
    hashes: Arc<Semaphore>,
    /// Whose are hashed, or wait for it.
    hashing: Arc<Places>,
    remembered: accounts::Remembered,
    /// How many searches run at once: what is more waits.
    searches: Semaphore,
    /// Whose they are, and those that wait: nobody fills the queue alone.
    searching: Arc<Places>,
    /// Long answers that are not read yet.
    octets: Arc<Octets>,
    verdicts: book::Verdicts,
}

impl Face {
    /// Fresh keys and empty counters.
    ///
    /// # Errors
    /// When the library has no random octets.
    pub fn new() -> io::Result<Arc<Self>> {
        let (mut pages, mut remembered) = ([0; 32], [0; 32]);
        rand_bytes(&mut pages)?;
        rand_bytes(&mut remembered)?;
        let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Ok(Arc::new(Self {
            pages: Pages::new(pages),
            allowances: Allowances::default(),
            passwords: Allowances::default(),
            certificates: Allowances::default(),
            hashes: Arc::new(Semaphore::new(1)),
            hashing: Arc::new(Places::default()),
            remembered: accounts::Remembered::new(remembered),
            searches: Semaphore::new(threads),
            searching: Arc::new(Places::default()),
            octets: Arc::new(Octets::default()),
            verdicts: book::Verdicts::default(),
        }))
    }
}
