//! Removal and reordering, of every kind of thing that a trail consists of; random changes of a large
//! log. Each is found, and the first bad place is named.

use std::{fs, path::Path};

use super::{
    sequencer::files_below,
    tests::{check, expected_place, good, trail},
    *,
};

fn first_place(dir: &Path) -> String {
    let report = check(dir);
    assert!(!report.ok);
    report.findings[0].place.clone()
}

/// The frames of the one file of records.
fn frames(octets: &[u8]) -> Vec<Vec<u8>> {
    let (mut rest, mut frames) = (octets, Vec::new());
    while !rest.is_empty() {
        let length = usize::try_from(u32::from_be_bytes(rest[..4].try_into().unwrap())).unwrap() + 12;
        frames.push(rest[..length].to_vec());
        rest = &rest[length..];
    }
    frames
}

#[test]
fn records_are_neither_removed_nor_exchanged() {
    let dir = trail(&[6]);
    let file = files_below(&dir.path().join("records")).unwrap().remove(0);
    let octets = fs::read(&file).unwrap();
    let all = frames(&octets);
    assert_eq!(all.len(), 6);
    for number in 0..6 {
        let mut other = all.clone();
        other.remove(number);
        fs::write(&file, other.concat()).unwrap();
        assert_eq!(first_place(dir.path()), format!("entry {number}"), "removed");
    }
    for number in 0..5 {
        let mut other = all.clone();
        other.swap(number, number + 1);
        fs::write(&file, other.concat()).unwrap();
        assert_eq!(first_place(dir.path()), format!("entry {number}"), "exchanged");
    }
    fs::write(&file, &octets).unwrap();
    good(dir.path(), 6);
    // With their rows in the table of keys: the commitments still know better.
    let db = rusqlite::Connection::open(dir.path().join("keys.db")).unwrap();
    db.execute("DELETE FROM leaf WHERE number = 3", []).unwrap();
    assert_eq!(first_place(dir.path()), "entry 3");
}

#[test]
fn commitments_are_neither_removed_nor_exchanged() {
    let dir = trail(&[256, 6]);
    let bundle = dir.path().join("log/tile/entries/001.p/6");
    let tile = dir.path().join("log/tile/0/001.p/6");
    let (entries, hashes) = (fs::read(&bundle).unwrap(), fs::read(&tile).unwrap());
    for number in 0..5_usize {
        let mut other: Vec<&[u8]> = entries.chunks(34).collect();
        other.swap(number, number + 1);
        fs::write(&bundle, other.concat()).unwrap();
        assert_eq!(first_place(dir.path()), format!("entry {}", 256 + number));
        // And their hashes along with them, so that entry and hash fit: the record does not.
        let mut other: Vec<&[u8]> = hashes.chunks(32).collect();
        other.swap(number, number + 1);
        fs::write(&tile, other.concat()).unwrap();
        assert_eq!(first_place(dir.path()), format!("entry {}", 256 + number));
        // Who has no key for the records sees it at the checkpoint that does not fit.
        let report = verify(dir.path(), &super::tests::verifier(), None, &[]).unwrap();
        assert_eq!(report.findings[0].place, "checkpoint 1");
        fs::write(&tile, &hashes).unwrap();
        let mut other: Vec<&[u8]> = entries.chunks(34).collect();
        other.remove(number);
        fs::write(&bundle, other.concat()).unwrap();
        assert_eq!(first_place(dir.path()), "log/tile/entries/001.p/6");
        fs::write(&bundle, &entries).unwrap();
    }
    good(dir.path(), 262);
}

#[test]
fn tiles_are_neither_removed_nor_exchanged() {
    let dir = trail(&[256, 1024, 20]);
    let log = dir.path().join("log/tile");
    let path = |name: &str| log.join(name);
    for level in ["entries", "0"] {
        let (one, two) = (path(&format!("{level}/001")), path(&format!("{level}/003")));
        let (a, b) = (fs::read(&one).unwrap(), fs::read(&two).unwrap());
        fs::write(&one, &b).unwrap();
        fs::write(&two, &a).unwrap();
        assert_eq!(first_place(dir.path()), "entry 256", "{level}");
        fs::remove_file(&one).unwrap();
        assert_eq!(first_place(dir.path()), format!("log/tile/{level}/001"));
        fs::write(&one, &a).unwrap();
        fs::write(&two, &b).unwrap();
    }
    let upper = path("1/000.p/5");
    let hashes = fs::read(&upper).unwrap();
    let mut other: Vec<&[u8]> = hashes.chunks(32).collect();
    other.swap(2, 3);
    fs::write(&upper, other.concat()).unwrap();
    assert_eq!(first_place(dir.path()), "log/tile/1/000.p/5");
    fs::write(&upper, &hashes).unwrap();
    good(dir.path(), 1300);
}

/// The newest checkpoint taken away, from the history, from the place where readers look, from both.
#[test]
fn the_newest_checkpoint_cannot_be_taken_away() {
    let dir = trail(&[5, 5]);
    let (history, newest) = (dir.path().join("checkpoints"), dir.path().join("log/checkpoint"));
    let text = fs::read_to_string(&history).unwrap();
    let first = checkpoint::split_notes(&text).0[0].to_owned();
    fs::write(&history, format!("{first}\n")).unwrap();
    assert_eq!(first_place(dir.path()), "log/checkpoint");
    fs::write(&newest, &first).unwrap();
    assert!(!check(dir.path()).ok, "the tiles of ten entries are still there");
    fs::write(&history, &text).unwrap();
    assert_eq!(first_place(dir.path()), "log/checkpoint");
}

/// Random octets of a log of several levels: found, and named as in a small one. `tests/run --full`
/// takes a larger log and more of them.
#[test]
fn random_changes_of_a_large_log_are_named() {
    let full = std::env::var("SCEAU_TESTS_TIER").as_deref() == Ok("full");
    let (batches, flips): (&[u64], usize) = if full { (&[60_000, 9_000, 44], 400) } else { (&[1_000, 300, 44], 30) };
    let dir = trail(batches);
    let mut files = files_below(&dir.path().join("log/tile")).unwrap();
    files.extend(files_below(&dir.path().join("records")).unwrap());
    files.push(dir.path().join("checkpoints"));
    let sizes: Vec<usize> =
        files.iter().map(|file| usize::try_from(fs::metadata(file).unwrap().len()).unwrap()).collect();
    let mut random = {
        let mut state = 42u64;
        move |bound: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % bound
        }
    };
    for flip in 0..flips {
        // Any file first, then any octet, so that small ones have their turn.
        let number = if flip % 2 == 0 { random(files.len()) } else { files.len() - 1 - random(3) };
        let (file, offset) = (&files[number], random(sizes[number]));
        let good = fs::read(file).unwrap();
        let mut other = good.clone();
        other[offset] ^= 1 << random(8);
        fs::write(file, &other).unwrap();
        let place = first_place(dir.path());
        fs::write(file, &good).unwrap();
        let expected = expected_in_large(dir.path(), file, offset);
        assert!(expected.contains(&place), "{} octet {offset}: {place}, not {expected:?}", file.display());
    }
    good(dir.path(), batches.iter().sum());
}

fn expected_in_large(dir: &Path, file: &Path, offset: usize) -> Vec<String> {
    let name = file.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
    let Some((level, tile)) = name.strip_prefix("log/tile/").and_then(|name| name.split_once('/')) else {
        return expected_place(dir, file, offset);
    };
    let index: usize = tile.split('.').next().unwrap().parse().unwrap();
    match level {
        "entries" => vec![format!("entry {}", index * 256 + offset / 34), name.clone()],
        "0" => vec![format!("entry {}", index * 256 + offset / 32)],
        _ => vec![name.clone()],
    }
}
