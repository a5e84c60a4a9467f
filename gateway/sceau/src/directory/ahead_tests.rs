//! A generation that is read before the reload that puts it in service.

use std::{fs, path::PathBuf, sync::Arc};

use annuaire::{DataFolder, load};
use ident::{ManualClock, Timestamp};

use crate::{
    demo::{
        cast::Place,
        space::{Space, SpaceSettings},
    },
    gateway::Gateway,
};

const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);

struct Hospital {
    space: Space,
    gateway: Arc<Gateway>,
    _folder: tempfile::TempDir,
}

impl Hospital {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let space = Space::create(&SpaceSettings::small(folder.path(), NOW, 4)).unwrap();
        let (gateway, _) = Gateway::open(space.configuration(Place::A), Arc::new(ManualClock::at(NOW)) as _).unwrap();
        Self { space, gateway, _folder: folder }
    }

    fn data(&self) -> PathBuf {
        self.space.folder.join("annuaire-data")
    }

    /// Loads the extracts without the last so many rows of people's mailboxes; the generation that is current then.
    fn load_without(&self, rows: usize) -> String {
        let extracts = self.space.folder.join("annuaire");
        let named = |file: &PathBuf| file.to_string_lossy().contains("correspondance");
        let files = fs::read_dir(&extracts).unwrap().map(|entry| entry.unwrap().path());
        let file = files.into_iter().find(named).unwrap();
        let whole = fs::read_to_string(&file).unwrap();
        let kept = whole.lines().count() - rows;
        let text: String = whole.lines().take(kept).map(|line| format!("{line}\n")).collect();
        fs::write(&file, text).unwrap();
        load(&extracts, &self.data(), true).unwrap();
        fs::write(&file, whole).unwrap();
        DataFolder::new(&self.data()).current_id().unwrap().unwrap()
    }

    fn in_service(&self) -> String {
        self.gateway.snapshot().generation.as_ref().unwrap().id().to_owned()
    }
}

#[test]
fn what_is_read_ahead_is_put_in_service_behind_all_else_and_not_read_again() {
    let hospital = Hospital::new();
    assert!(!hospital.gateway.reload_all_else().unwrap(), "it is in service already");
    let second = hospital.load_without(1);
    assert_ne!(hospital.in_service(), second);
    let ahead = hospital.gateway.read_ahead(&|| true).unwrap();
    assert!(*hospital.gateway.reading().borrow() > 0, "others let go what they hold until it is in service");
    // It cannot be read whole any more, but it was.
    let folder = DataFolder::new(&hospital.data());
    let mut octets = fs::read(folder.file_of(&second)).unwrap();
    octets.last_mut().into_iter().for_each(|last| *last ^= 1);
    fs::write(folder.file_of(&second), octets).unwrap();
    assert!(folder.stored(&second).is_err());
    assert!(hospital.gateway.reload_all_else().unwrap(), "all else comes first");
    assert_ne!(hospital.in_service(), second);
    assert!(!hospital.gateway.bring_directory(Some(ahead)));
    assert_eq!(hospital.in_service(), second);
    assert!(*hospital.gateway.reading().borrow() == 0);
}

#[test]
fn another_generation_that_is_chosen_meanwhile_is_the_one_put_in_service() {
    let hospital = Hospital::new();
    let first = hospital.in_service();
    let second = hospital.load_without(1);
    let ahead = hospital.gateway.read_ahead(&|| true).unwrap();
    let third = hospital.load_without(2);
    assert!(third != second && third != first);
    assert!(hospital.gateway.bring_directory(Some(ahead)), "it is read first, too");
    assert_eq!(hospital.in_service(), first);
    assert!(hospital.gateway.snapshot().troubles.waits);
    let ahead = hospital.gateway.read_ahead(&|| true);
    assert!(!hospital.gateway.bring_directory(ahead));
    assert_eq!(hospital.in_service(), third);

    hospital.load_without(1);
    let ahead = hospital.gateway.read_ahead(&|| true).unwrap();
    DataFolder::new(&hospital.data()).select(&third).unwrap();
    assert!(!hospital.gateway.bring_directory(Some(ahead)));
    assert_eq!(hospital.in_service(), third, "back to the one that never left");
    assert!(*hospital.gateway.reading().borrow() == 0);
}

/// What is kept for those who ask is kept for a registry: the same one, read again, must not be another.
#[test]
fn a_registry_that_did_not_change_is_the_same_after_a_reload() {
    let hospital = Hospital::new();
    let registry = || Arc::clone(&hospital.gateway.snapshot().registry);
    let before = registry();
    hospital.gateway.reload().unwrap();
    assert!(Arc::ptr_eq(&before, &registry()));
    let file = hospital.space.configuration(Place::A).with_file_name("registry.toml");
    let text = fs::read_to_string(&file).unwrap();
    let changed = text.replacen("type = \"PER\"", "type = \"PER\"\nred_list = true", 1);
    assert_ne!(text, changed);
    fs::write(&file, changed).unwrap();
    hospital.gateway.reload().unwrap();
    assert!(!Arc::ptr_eq(&before, &registry()));
    let red = |registry: &annuaire::Registry| registry.mailboxes().iter().filter(|own| own.red_list).count();
    assert_eq!(red(&registry()), red(&before) + 1);
}
