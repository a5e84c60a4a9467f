//! A registry in which orders are carried out before anything is written.

use std::collections::HashMap;

use ident::{Address, PersonId, PersonIdKind, Timestamp};
use thiserror::Error;

use super::{Access, Carried, Changes, National, Objection, Order, Rules, judge, text::Pieces};
use crate::{Closed, MailboxType, RegisteredMailbox, Registry, RegistryError};

/// One registry file, as it is and as it is to become.
#[derive(Debug)]
pub struct Draft {
    pieces: Pieces,
    before: Registry,
    boxes: Vec<Entry>,
    by_key: HashMap<String, usize>,
    by_owner: HashMap<PersonId, Vec<usize>>,
}

#[derive(Debug)]
struct Entry {
    mailbox: RegisteredMailbox,
    /// Where in the text it stands; a new one stands nowhere yet.
    piece: Option<usize>,
    touched: bool,
}

/// Why a registry cannot be changed by orders.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DraftError {
    /// The file is not in order to begin with.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// What would be written is no good registry, or says something else than was ordered.
    #[error(
        "the file is written in a way that orders cannot change ({0}): change it with an editor, then `sceau check`"
    )]
    Unwritable(String),
}

impl Draft {
    /// Of the text of a registry file.
    ///
    /// # Errors
    /// [`DraftError::Registry`] when the file is wrong.
    pub fn of(text: &str) -> Result<Self, DraftError> {
        let before = Registry::parse(text)?;
        let pieces = Pieces::of(text);
        let mut draft = Self {
            boxes: Vec::with_capacity(before.mailboxes().len()),
            by_key: HashMap::new(),
            by_owner: HashMap::new(),
            pieces,
            before: Registry::default(),
        };
        for mailbox in before.mailboxes() {
            let piece = draft.pieces.at_line(mailbox.line);
            draft.add(Entry { mailbox: mailbox.clone(), piece, touched: false });
        }
        draft.before = before;
        Ok(draft)
    }

    fn add(&mut self, entry: Entry) {
        let at = self.boxes.len();
        self.by_key.insert(entry.mailbox.address.key(), at);
        if let Some(owner) = &entry.mailbox.owner {
            self.by_owner.entry(owner.clone()).or_default().push(at);
        }
        self.boxes.push(entry);
    }

    /// The registry before any order.
    pub const fn before(&self) -> &Registry {
        &self.before
    }

    /// A mailbox as it is to become.
    pub fn mailbox(&self, address: &Address) -> Option<&RegisteredMailbox> {
        self.by_key.get(&address.key()).and_then(|at| self.boxes.get(*at)).map(|entry| &entry.mailbox)
    }

    /// Carries an order out.
    ///
    /// # Errors
    /// The first objection; then nothing has changed.
    pub fn carry_out(&mut self, order: &Order, national: National<'_>, rules: &Rules) -> Result<Carried, Objection> {
        // Files hold whole seconds.
        let rules = &Rules { now: Timestamp::from_seconds(rules.now.seconds()), ..rules.clone() };
        match order {
            Order::Create(mailbox) => self.create(mailbox, national, rules),
            Order::Change(address, changes) => {
                let mut mailbox = self.open(address)?.clone();
                changes.apply(&mut mailbox)?;
                self.put(mailbox, national, rules)
            }
            Order::Close { address, successor } => self.close(address, successor.as_ref(), rules),
            Order::Reopen(address) => self.reopen(address, national, rules),
            Order::Rank(address, rank) => self.rank(address, *rank),
            Order::Delegate { address, to, access, until } => {
                let mut mailbox = self.open(address)?.clone();
                let to = self.before.current(to).clone();
                if mailbox.owner.as_ref() == Some(&to) {
                    let (fr, en) = ("cette personne est le titulaire", "this person is the owner");
                    return Err(Objection::new("delegates", fr, en));
                }
                if until.is_some_and(|end| end <= rules.now) {
                    let (fr, en) = ("la délégation serait déjà finie", "the delegation would be over already");
                    return Err(Objection::new("until", fr, en));
                }
                delegate(&mut mailbox, &to, *access);
                mailbox.until.remove(&to);
                if let Some(end) = until {
                    mailbox.until.insert(to, Timestamp::from_seconds(end.seconds()));
                }
                self.put(mailbox, national, rules)
            }
            Order::Withdraw(address, from) => {
                let mut mailbox = self.open(address)?.clone();
                let from = self.before.current(from).clone();
                withdraw(&mut mailbox, &from);
                mailbox.until.remove(&from);
                self.put(mailbox, national, rules)
            }
        }
    }

    /// Carries out several orders about one mailbox, or none of them.
    ///
    /// # Errors
    /// The first objection; then nothing has changed.
    pub fn carry_out_all(
        &mut self,
        orders: &[Order],
        national: National<'_>,
        rules: &Rules,
    ) -> Result<Vec<Carried>, Objection> {
        if let [one] = orders {
            return self.carry_out(one, national, rules).map(|carried| vec![carried]);
        }
        let own = orders.first().and_then(|order| self.mailbox(order.address())).cloned();
        // A rank is taken from another one of the same owner.
        let others = own.iter().flat_map(|own| self.of_the_same(own).map(|(_, other)| other.clone()));
        let before: Vec<RegisteredMailbox> = own.iter().cloned().chain(others).collect();
        let outcome: Result<Vec<Carried>, Objection> =
            orders.iter().map(|order| self.carry_out(order, national, rules)).collect();
        if outcome.is_err() {
            before.into_iter().for_each(|mailbox| self.set(mailbox));
        }
        outcome
    }

    fn known(&self, address: &Address) -> Result<&RegisteredMailbox, Objection> {
        self.mailbox(address).ok_or_else(|| {
            let fr = format!("{address} n'est pas dans le registre");
            Objection::new("address", fr, format!("{address} is not in the registry"))
        })
    }

    fn open(&self, address: &Address) -> Result<&RegisteredMailbox, Objection> {
        let mailbox = self.known(address)?;
        match &mailbox.closed {
            None => Ok(mailbox),
            Some(closed) => {
                let fr = format!("{address} est fermée depuis le {}", closed.since);
                Err(Objection::new("address", fr, format!("{address} is closed since {}", closed.since)))
            }
        }
    }

    fn create(
        &mut self,
        mailbox: &RegisteredMailbox,
        national: National<'_>,
        rules: &Rules,
    ) -> Result<Carried, Objection> {
        let mut own = mailbox.clone();
        own.owner = own.owner.map(|owner| self.before.current(&owner).clone());
        own.closed = None;
        // Saying again what is so is no fault: a wave that was cut short is sent again as a whole.
        let as_before = |before: &RegisteredMailbox| {
            before.is_open()
                && RegisteredMailbox { line: 0, created: None, ..before.clone() }
                    == RegisteredMailbox { line: 0, created: None, ..own.clone() }
        };
        if self.mailbox(&own.address).is_some_and(as_before) {
            return Ok(Carried::Unchanged);
        }
        match judge::address(self, &own, national, rules) {
            Err(objection) if !(objection.unknown && rules.accept_unknown) => return Err(objection),
            _ => {}
        }
        if let Some(rank) = own.rank {
            self.free_rank(&own, rank)?;
        }
        judge::mailbox(self, &own, national, rules)?;
        own.created = Some(rules.now);
        let words = format!("{} {}", own.kind.code(), holder(&own));
        match self.by_key.get(&own.address.key()).copied() {
            // After its term: the entry of the one before gives way, and the trail remembers it.
            Some(at) => self.replace(at, own),
            None => self.add(Entry { mailbox: own, piece: None, touched: true }),
        }
        Ok(Carried::Done(words))
    }

    fn free_rank(&self, own: &RegisteredMailbox, rank: u32) -> Result<(), Objection> {
        match self.of_the_same(own).find(|(_, other)| other.rank == Some(rank)) {
            Some((_, other)) => {
                let fr = format!("{} a déjà le rang {rank} : utilisez « rank » après la création", other.address);
                let en = format!("{} has rank {rank} already: use `rank` after creating", other.address);
                Err(Objection::new("rank", fr, en))
            }
            None => Ok(()),
        }
    }

    /// The other open mailboxes of the same owner.
    fn of_the_same<'a>(
        &'a self,
        own: &'a RegisteredMailbox,
    ) -> impl Iterator<Item = (usize, &'a RegisteredMailbox)> + 'a {
        let at = own.owner.as_ref().and_then(|owner| self.by_owner.get(owner)).map(Vec::as_slice).unwrap_or_default();
        at.iter()
            .filter_map(|at| self.boxes.get(*at).map(|entry| (*at, &entry.mailbox)))
            .filter(|(_, other)| other.is_open() && !other.address.same_mailbox(&own.address))
    }

    fn close(&mut self, address: &Address, successor: Option<&Address>, rules: &Rules) -> Result<Carried, Objection> {
        let mut mailbox = self.known(address)?.clone();
        if let Some(next) = successor {
            if next.same_mailbox(address) {
                let (fr, en) = ("une boîte ne se succède pas à elle-même", "a mailbox does not succeed itself");
                return Err(Objection::new("successor", fr, en));
            }
            // One of another domain of ours, or of another operator, is in another book.
            if next.domain() == address.domain() {
                self.open(next).map_err(|objection| Objection { field: "successor", ..objection })?;
            }
        }
        if let Some(closed) = &mut mailbox.closed {
            if closed.successor.as_ref() == successor {
                return Ok(Carried::Unchanged);
            }
            closed.successor = successor.cloned();
        } else {
            mailbox.closed = Some(Closed { since: rules.now, successor: successor.cloned(), told: !mailbox.red_list });
        }
        let words = successor.map_or_else(String::new, |next| format!("successor {next}"));
        self.set(mailbox);
        Ok(Carried::Done(words))
    }

    fn reopen(&mut self, address: &Address, national: National<'_>, rules: &Rules) -> Result<Carried, Objection> {
        let mut mailbox = self.known(address)?.clone();
        if mailbox.closed.take().is_none() {
            return Ok(Carried::Unchanged);
        }
        if mailbox.rank.is_some_and(|rank| self.free_rank(&mailbox, rank).is_err()) {
            mailbox.rank = None;
        }
        judge::mailbox(self, &mailbox, national, rules)?;
        let words = holder(&mailbox);
        self.set(mailbox);
        Ok(Carried::Done(words))
    }

    fn rank(&mut self, address: &Address, rank: Option<u32>) -> Result<Carried, Objection> {
        let mut mailbox = self.open(address)?.clone();
        if rank == Some(0) {
            let (fr, en) = ("le rang commence à 1, la boîte préférée", "rank starts at 1, the preferred mailbox");
            return Err(Objection::new("rank", fr, en));
        }
        if mailbox.rank == rank {
            return Ok(Carried::Unchanged);
        }
        let before = mailbox.rank;
        let holder = self.of_the_same(&mailbox).find(|(_, other)| rank.is_some() && other.rank == rank);
        let other = holder.map(|(at, other)| (at, RegisteredMailbox { rank: before, ..other.clone() }));
        let mut words = rank.map_or_else(|| "none".to_owned(), |rank| rank.to_string());
        if let Some((at, other)) = other {
            let now = before.map_or_else(|| "none".to_owned(), |rank| rank.to_string());
            words = format!("{words}; {} has {now} now", other.address);
            self.replace(at, other);
        }
        mailbox.rank = rank;
        self.set(mailbox);
        Ok(Carried::Done(words))
    }

    fn put(&mut self, mailbox: RegisteredMailbox, national: National<'_>, rules: &Rules) -> Result<Carried, Objection> {
        let Some(before) = self.mailbox(&mailbox.address) else { return Ok(Carried::Unchanged) };
        if *before == mailbox {
            return Ok(Carried::Unchanged);
        }
        let words = differences(before, &mailbox);
        judge::mailbox(self, &mailbox, national, rules)?;
        self.set(mailbox);
        Ok(Carried::Done(words))
    }

    fn set(&mut self, mailbox: RegisteredMailbox) {
        if let Some(at) = self.by_key.get(&mailbox.address.key()).copied() {
            self.replace(at, mailbox);
        }
    }

    fn replace(&mut self, at: usize, mailbox: RegisteredMailbox) {
        let Some(entry) = self.boxes.get_mut(at) else { return };
        let former = entry.mailbox.owner.clone();
        if former != mailbox.owner {
            if let Some(list) = former.as_ref().and_then(|owner| self.by_owner.get_mut(owner)) {
                list.retain(|other| *other != at);
            }
            if let Some(owner) = &mailbox.owner {
                self.by_owner.entry(owner.clone()).or_default().push(at);
            }
        }
        entry.mailbox = mailbox;
        entry.touched = true;
    }

    /// The text of the file with every order carried out, and the registry that it says. Untouched entries, comments
    /// between entries and their order stay as they are.
    ///
    /// # Errors
    /// [`DraftError::Unwritable`] when the text would not say exactly what was ordered.
    pub fn text(&self) -> Result<(String, Registry), DraftError> {
        let touched = self.boxes.iter().filter(|entry| entry.touched);
        let mut pieces = self.pieces.clone();
        for entry in touched {
            match entry.piece {
                Some(piece) => pieces.set(piece, &entry.mailbox),
                None if self.before.mailbox(&entry.mailbox.address).is_some() => {
                    return Err(DraftError::Unwritable(format!("{} stands in no [[mailbox]]", entry.mailbox.address)));
                }
                None => pieces.add(&entry.mailbox),
            }
        }
        let text = pieces.text();
        let written = Registry::parse(&text).map_err(|error| DraftError::Unwritable(error.to_string()))?;
        let bare = |mailbox: &RegisteredMailbox| RegisteredMailbox { line: 0, ..mailbox.clone() };
        let same = written.mailboxes().len() == self.boxes.len()
            && written.mailboxes().iter().zip(&self.boxes).all(|(new, entry)| bare(new) == bare(&entry.mailbox))
            && written.has_the_aliases_of(&self.before);
        if !same {
            return Err(DraftError::Unwritable("it would not say what was ordered".to_owned()));
        }
        Ok((text, written))
    }
}

impl Changes {
    fn apply(&self, mailbox: &mut RegisteredMailbox) -> Result<(), Objection> {
        // BAL-2.
        if self.kind.is_some_and(|kind| kind != mailbox.kind) {
            let fr = format!("le type d'une boîte ne change jamais : {} est {}", mailbox.address, mailbox.kind.code());
            let en = format!("the type of a mailbox never changes: {} is {}", mailbox.address, mailbox.kind.code());
            return Err(Objection::new("type", fr, en));
        }
        if self.owner.is_some() && self.owner != mailbox.owner {
            let fr = format!("{} a un autre titulaire : une boîte ne change pas de mains", mailbox.address);
            let en = format!("{} has another owner: a mailbox does not change hands", mailbox.address);
            return Err(Objection::new("owner", fr, en));
        }
        fn take<T: Clone>(field: &mut T, change: Option<&T>) {
            if let Some(new) = change {
                *field = new.clone();
            }
        }
        take(&mut mailbox.name, self.name.as_ref());
        take(&mut mailbox.service, self.service.as_ref());
        take(&mut mailbox.responsible, self.responsible.as_ref());
        take(&mut mailbox.inner_address, self.inner_address.as_ref());
        take(&mut mailbox.redirect, self.redirect.as_ref());
        take(&mut mailbox.structure, self.structure.as_ref());
        take(&mut mailbox.red_list, self.red_list.as_ref());
        take(&mut mailbox.keep_unused, self.keep_unused.as_ref());
        if let Some(members) = &self.members {
            let gone: Vec<PersonId> = mailbox.members.iter().filter(|id| !members.contains(id)).cloned().collect();
            mailbox.members = members.clone();
            for id in &gone {
                mailbox.until.remove(id);
            }
        }
        Ok(())
    }
}

/// Puts somebody where their right is written: staff cards under grants, people of a shared box among its members.
fn delegate(mailbox: &mut RegisteredMailbox, to: &PersonId, access: Access) {
    withdraw(mailbox, to);
    let staff = matches!(to.kind(), PersonIdKind::FinessInternal | PersonIdKind::SiretInternal);
    let list = match (access, staff, mailbox.kind) {
        (Access::Read, ..) => &mut mailbox.readers,
        (Access::Write, true, _) => &mut mailbox.grants,
        (Access::Write, false, MailboxType::Personal) => &mut mailbox.delegates,
        (Access::Write, false, _) => &mut mailbox.members,
    };
    list.push(to.clone());
}

fn withdraw(mailbox: &mut RegisteredMailbox, from: &PersonId) {
    for list in [&mut mailbox.members, &mut mailbox.delegates, &mut mailbox.grants, &mut mailbox.readers] {
        list.retain(|id| id != from);
    }
}

fn holder(mailbox: &RegisteredMailbox) -> String {
    let owner = mailbox.owner.as_ref().map(|owner| format!("owner {owner}"));
    let structure = mailbox.structure.as_ref().map(|structure| format!("structure {structure}"));
    owner.into_iter().chain(structure).collect::<Vec<_>>().join(", ")
}

/// What changes, in words for the trail.
fn differences(before: &RegisteredMailbox, after: &RegisteredMailbox) -> String {
    let mut words = Vec::new();
    let mut field = |name: &str, before: String, after: String| {
        if before != after {
            let word = |text: String| if text.is_empty() { "-".to_owned() } else { text };
            words.push(format!("{name}: {} -> {}", word(before), word(after)));
        }
    };
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let address = |value: &Option<Address>| value.as_ref().map(ToString::to_string).unwrap_or_default();
    let people = |list: &[PersonId]| list.iter().map(PersonId::as_str).collect::<Vec<_>>().join(" ");
    let ends = |mailbox: &RegisteredMailbox| {
        mailbox.until.iter().map(|(id, end)| format!("{id} {end}")).collect::<Vec<_>>().join(" ")
    };
    let structure =
        |mailbox: &RegisteredMailbox| mailbox.structure.as_ref().map(ToString::to_string).unwrap_or_default();
    field("name", text(&before.name), text(&after.name));
    field("service", text(&before.service), text(&after.service));
    field("responsible", text(&before.responsible), text(&after.responsible));
    field("inner_address", address(&before.inner_address), address(&after.inner_address));
    field("redirect", address(&before.redirect), address(&after.redirect));
    field("structure", structure(before), structure(after));
    field("members", people(&before.members), people(&after.members));
    field("delegates", people(&before.delegates), people(&after.delegates));
    field("grants", people(&before.grants), people(&after.grants));
    field("readers", people(&before.readers), people(&after.readers));
    field("until", ends(before), ends(after));
    field("red_list", before.red_list.to_string(), after.red_list.to_string());
    field("keep_unused", before.keep_unused.to_string(), after.keep_unused.to_string());
    words.join("; ")
}
