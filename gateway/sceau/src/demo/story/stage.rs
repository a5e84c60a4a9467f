//! Everything that runs: two gateways, their inner mail stores, the third operator.

use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use ident::{Address, Clock, SystemClock, Timestamp};
use tokio::process::Command;

use super::{StoryError, attended::Attended, received::Received};
use crate::demo::{
    cast::{CastError, Person, Place},
    inner_store::InnerStore,
    operator::ThirdOperator,
    practice::{Protection, Software},
    space::{CardHolder, IdentityFiles, Space, reached},
};

/// How long a message may take from one end to the other on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is running.
#[derive(Debug)]
pub struct Stage {
    /// The world.
    pub space: Space,
    /// The program itself.
    binary: PathBuf,
    stores: Vec<(Place, InnerStore)>,
    gateways: Vec<(Place, Attended)>,
    operator: Option<ThirdOperator>,
}

/// What a command of ours said.
#[derive(Debug)]
pub struct Said {
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub text: String,
    /// Standard error.
    pub errors: String,
}

impl Stage {
    /// Nothing runs yet.
    pub const fn new(space: Space, binary: PathBuf) -> Self {
        Self { space, binary, stores: Vec::new(), gateways: Vec::new(), operator: None }
    }

    /// The present moment.
    pub fn now() -> Timestamp {
        SystemClock.now()
    }

    /// Starts a hospital's inner mail store and its gateway.
    ///
    /// # Errors
    /// [`StoryError::Store`], [`StoryError::Gateway`]
    pub async fn start_hospital(&mut self, place: Place) -> Result<&Attended, StoryError> {
        let ports = if place == Place::A { self.space.ports.a } else { self.space.ports.b };
        let mail = self.space.folder.join(place.folder()).join("mail");
        let store = InnerStore::start(ports.inner, mail, &format!("mail.{}", place.folder())).await;
        self.stores.push((place, store.map_err(StoryError::Store)?));
        let log = self.log_folder()?.join(format!("{}.log", place.folder()));
        let gateway = Attended::start(&self.binary, &self.space.configuration(place), log).await?;
        self.gateways.push((place, gateway));
        self.gateways.last().map(|(_, gateway)| gateway).ok_or(StoryError::Gone("gateway"))
    }

    /// Starts the third operator's Postfix and mail store.
    ///
    /// # Errors
    /// [`StoryError::Operator`]
    pub async fn start_operator(&mut self) -> Result<&ThirdOperator, StoryError> {
        let operator = ThirdOperator::start(&self.space).await?;
        Ok(self.operator.insert(operator))
    }

    /// Stops everything, in the order in which mail flows.
    ///
    /// # Errors
    /// The first that did not stop well; the others are stopped all the same.
    pub async fn stop(&mut self) -> Result<(), StoryError> {
        let mut outcome = Ok(());
        if let Some(operator) = self.operator.take() {
            outcome = operator.stop().await.map_err(StoryError::from);
        }
        for (_, gateway) in self.gateways.drain(..) {
            outcome = outcome.and(gateway.stop().await.map_err(StoryError::from));
        }
        for (_, store) in self.stores.drain(..) {
            store.stop().await;
        }
        outcome
    }

    /// Waits until a gateway is gone, which it should not be.
    pub async fn somebody_ended(&mut self) -> Place {
        loop {
            for (place, gateway) in &mut self.gateways {
                if gateway.ended().is_some() {
                    return *place;
                }
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// One of the cast.
    ///
    /// # Errors
    /// [`StoryError::Cast`]
    pub fn holder(&self, key: &str) -> Result<&CardHolder, StoryError> {
        Ok(self.space.holder(key).ok_or_else(|| CastError(key.to_owned()))?)
    }

    /// Their mailbox.
    ///
    /// # Errors
    /// [`StoryError::Cast`]
    pub fn mailbox(&self, key: &str) -> Result<Address, StoryError> {
        let mailbox = self.holder(key)?.person.mailbox.clone();
        Ok(mailbox.ok_or_else(|| CastError(format!("{key} has no mailbox")))?)
    }

    /// How to call them.
    ///
    /// # Errors
    /// [`StoryError::Cast`]
    pub fn name(&self, key: &str) -> Result<String, StoryError> {
        Ok(full_name(&self.holder(key)?.person))
    }

    /// Practice software of hospital A with this card.
    ///
    /// # Errors
    /// [`StoryError::Cast`]
    pub fn software(&self, key: &str) -> Result<Software, StoryError> {
        Ok(self.client(Place::A, reached(self.space.ports.a.submission), Some(&self.holder(key)?.card)))
    }

    /// Another operator's server at hospital A's exchange port.
    pub fn peer(&self, identity: &IdentityFiles) -> Software {
        self.client(Place::A, reached(self.space.ports.a.exchange), Some(identity))
    }

    /// A mail program of one of the third operator's users, inside its own network.
    pub fn inside_operator(&self) -> Software {
        let protection = Protection::None;
        Software { protection, ..self.client(Place::C, self.space.ports.c.internal, None) }
    }

    fn client(&self, place: Place, address: std::net::SocketAddr, identity: Option<&IdentityFiles>) -> Software {
        Software {
            host: place.host(),
            address,
            protection: Protection::Starttls,
            authorities: self.space.anchor("servers"),
            identity: identity.cloned(),
        }
    }

    /// Waits for a message in a mailbox; gives the first one of which `wanted` is true.
    ///
    /// # Errors
    /// [`StoryError::Lost`] when none comes.
    pub async fn arrival(&self, mailbox: &Address, wanted: impl Fn(&Received) -> bool) -> Result<Received, StoryError> {
        let store = self.store_of(mailbox)?;
        let lost = || StoryError::Lost(mailbox.to_string(), PATIENCE.as_secs());
        let searching = async {
            let mut seen = 0usize;
            loop {
                let count = seen.saturating_add(1);
                let files = store.wait_for(mailbox, count, PATIENCE).await.map_err(StoryError::Store)?;
                let files = files.ok_or_else(lost)?;
                for file in files.iter().skip(seen) {
                    let received = Received::read(file)?;
                    if wanted(&received) {
                        return Ok(received);
                    }
                }
                seen = files.len();
            }
        };
        tokio::time::timeout(PATIENCE, searching).await.map_err(|_| lost())?
    }

    fn store_of(&self, mailbox: &Address) -> Result<&InnerStore, StoryError> {
        let domain = mailbox.domain();
        for (place, store) in &self.stores {
            if place.domain()? == *domain {
                return Ok(store);
            }
        }
        self.operator.as_ref().map(|operator| &operator.store).ok_or(StoryError::Gone("mail store"))
    }

    /// Runs a command of ours to its end.
    ///
    /// # Errors
    /// [`StoryError::File`]
    pub async fn sceau(&self, arguments: &[&str]) -> Result<Said, StoryError> {
        let run = Command::new(&self.binary).args(arguments).stdin(Stdio::null()).kill_on_drop(true).output();
        let output = run.await.map_err(|error| StoryError::File(self.binary.clone(), error))?;
        Ok(Said {
            code: output.status.code(),
            text: String::from_utf8_lossy(&output.stdout).into_owned(),
            errors: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// The same for a command that takes a hospital's configuration.
    ///
    /// # Errors
    /// [`StoryError::File`]
    pub async fn sceau_at(&self, place: Place, arguments: &[&str]) -> Result<Said, StoryError> {
        let configuration = self.space.configuration(place).display().to_string();
        let mut all = arguments.to_vec();
        all.extend(["--config", &configuration]);
        self.sceau(&all).await
    }

    /// Where the gateways' logs lie.
    ///
    /// # Errors
    /// [`StoryError::File`]
    pub fn log_folder(&self) -> Result<PathBuf, StoryError> {
        let logs = self.space.folder.join("logs");
        std::fs::create_dir_all(&logs).map_err(|error| StoryError::File(logs.clone(), error))?;
        Ok(logs)
    }

    /// A path as seen from the demonstration's folder.
    pub fn short<'a>(&self, path: &'a Path) -> std::path::Display<'a> {
        path.strip_prefix(&self.space.folder).unwrap_or(path).display()
    }

    /// Searches every file below a folder of the space; says how many there are and which hold one of the texts.
    ///
    /// # Errors
    /// [`StoryError::File`]
    pub fn search(&self, folder: &str, texts: &[&[u8]]) -> Result<(usize, Vec<PathBuf>), StoryError> {
        let (mut count, mut found) = (0usize, vec![]);
        let mut folders = vec![self.space.folder.join(folder)];
        while let Some(next) = folders.pop() {
            let failed = |error: io::Error| StoryError::File(next.clone(), error);
            for entry in std::fs::read_dir(&next).map_err(failed)? {
                let path = entry.map_err(failed)?.path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                // A file may go while we look: then nothing is in it.
                let Ok(content) = std::fs::read(&path) else { continue };
                count = count.saturating_add(1);
                if texts.iter().any(|text| content.windows(text.len().max(1)).any(|window| window == *text)) {
                    found.push(path);
                }
            }
        }
        Ok((count, found))
    }
}

/// `Dr Anne MARTIN-TEST`.
pub fn full_name(person: &Person) -> String {
    let title = if person.role == crate::demo::cast::Role::Doctor { "Dr " } else { "" };
    format!("{title}{} {}", person.given, person.family)
}
