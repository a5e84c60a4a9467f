//! Power loss, modelled: every write, sync and change of a name that the real process makes below a
//! folder is recorded by strace; from the record, the states are rebuilt in which a disk might be found
//! if the power had gone at any moment.
//!
//! The model believes what POSIX promises and nothing more. Content is safe once a sync of its file has
//! returned; a name is safe once a sync of its folder has returned (not when the file is synced). Of
//! everything else any part may be there, whatever its order: each later write whole, torn at a sector,
//! or missing; each later name made, removed or not.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::chance::Chance;
use crate::process::Running;

/// Writes are torn at multiples of this.
const SECTOR: usize = 512;
/// What the record is made of.
const CALLS: &str = "open,openat,creat,close,dup,dup2,dup3,write,pwrite64,writev,pwritev,pwritev2,lseek,ftruncate,truncate,\
                     fallocate,fsync,fdatasync,sync_file_range,rename,renameat,renameat2,link,linkat,symlink,symlinkat,\
                     unlink,unlinkat,mkdir,mkdirat,rmdir,copy_file_range,sendfile";

/// Starts a program under strace, which writes the record to `log`.
#[must_use]
pub fn record(log: &Path, program: &Path, arguments: &[&str]) -> Running {
    Running::start("strace", "strace", |command| {
        command.args([
            "-f",
            "-y",
            "-xx",
            "-ttt",
            "-s",
            "16777216",
            "-e",
            "signal=none",
            "-e",
            &format!("trace={CALLS}"),
        ]);
        // The traced program is our child, strace its tracer: signals and their effect are the program's own.
        command.arg("-D").arg("-o").arg(log).arg("--").arg(program).args(arguments);
    })
}

/// A file, whatever its names.
type FileId = usize;

#[derive(Clone, Debug, PartialEq)]
enum Node {
    File(FileId),
    Folder,
}

#[derive(Clone, Debug)]
enum Change {
    Write { file: FileId, offset: usize, octets: Vec<u8> },
    Truncate { file: FileId, length: usize },
    Sync { file: FileId },
    Put { path: PathBuf, node: Node },
    Remove { path: PathBuf },
    SyncFolder { path: PathBuf },
}

/// A change with the places in the record where its call began and had returned.
#[derive(Clone, Debug)]
struct Step {
    began: usize,
    done: usize,
    at: f64,
    change: Change,
}

/// Everything that happened to a folder.
#[derive(Debug, Default)]
pub struct Record {
    root: PathBuf,
    steps: Vec<Step>,
}

/// How much of what is not safe is there after the power loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Nothing.
    Lost,
    /// All of it.
    Kept,
    /// What came first.
    Prefix,
    /// Any part.
    Subset,
}

/// A rebuilt folder.
#[derive(Debug)]
pub struct DiskState {
    /// The moment of the power loss, in seconds since 1970.
    pub at: f64,
    files: Vec<(PathBuf, Vec<u8>)>,
    folders: Vec<PathBuf>,
}

impl Record {
    /// Reads what strace wrote, as far as it concerns things below `root`, which was empty before.
    #[must_use]
    pub fn read(log: &Path, root: &Path) -> Self {
        let text = std::fs::read_to_string(log).unwrap();
        let mut reader = Reader::new(root);
        let mut begun: HashMap<&str, (usize, String)> = HashMap::new();
        for (line, whole) in text.lines().enumerate() {
            let Some((process, rest)) = whole.split_once(' ') else { continue };
            let Some((time, call)) = rest.trim_start().split_once(' ') else { continue };
            let Ok(at) = time.parse::<f64>() else { continue };
            if let Some(start) = call.strip_suffix(" <unfinished ...>") {
                // A number is free as soon as its close has begun: another thread may be given it at once.
                if start.starts_with("close(") {
                    reader.call(line, line, at, &format!("{start}) = 0"));
                    continue;
                }
                begun.insert(process, (line, start.to_owned()));
            } else if let Some(resumed) = call.strip_prefix("<... ") {
                let Some((began, start)) = begun.remove(process) else { continue };
                let end = resumed.split_once(" resumed>").unwrap_or_else(|| panic!("line {line}: {resumed}")).1;
                reader.call(began, line, at, &format!("{start}{end}"));
            } else {
                reader.call(line, line, at, call);
            }
        }
        Self { root: root.to_owned(), steps: reader.steps }
    }

    /// How many changes there are: a power loss may come before each of them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether nothing was recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// How many of them are syncs.
    #[must_use]
    pub fn syncs(&self) -> usize {
        let sync = |step: &&Step| matches!(step.change, Change::Sync { .. } | Change::SyncFolder { .. });
        self.steps.iter().filter(sync).count()
    }

    /// The folder after a power loss just before change number `moment`.
    #[must_use]
    pub fn state(&self, moment: usize, rest: Rest, chance: &mut Chance) -> DiskState {
        let (past, at) = (&self.steps[..moment], self.steps.get(moment).map_or(f64::MAX, |step| step.at));
        let safe = safety(past);
        let unsafe_steps = safe.iter().filter(|safe| !**safe).count();
        let first = usize::try_from(chance.below(unsafe_steps as u64 + 1)).unwrap();
        let (mut contents, mut names) = (BTreeMap::<FileId, Vec<u8>>::new(), BTreeMap::<&Path, Node>::new());
        let mut number = 0;
        for (step, safe) in past.iter().zip(safe) {
            let there = safe || {
                number += 1;
                match rest {
                    Rest::Lost => false,
                    Rest::Kept => true,
                    Rest::Prefix => number <= first,
                    Rest::Subset => chance.percent(50),
                }
            };
            if !there {
                continue;
            }
            match &step.change {
                Change::Write { file, offset, octets } => {
                    let torn = !safe && rest != Rest::Kept && chance.percent(20);
                    let length =
                        if torn { usize::try_from(chance.below(octets.len() as u64)).unwrap() } else { octets.len() };
                    let length = if torn { length / SECTOR * SECTOR } else { length };
                    let content = contents.entry(*file).or_default();
                    if content.len() < offset + length {
                        content.resize(offset + length, 0);
                    }
                    content[*offset..offset + length].copy_from_slice(&octets[..length]);
                }
                Change::Truncate { file, length } => contents.entry(*file).or_default().resize(*length, 0),
                Change::Put { path, node } => drop(names.insert(path, node.clone())),
                Change::Remove { path } => drop(names.remove(path.as_path())),
                Change::Sync { .. } | Change::SyncFolder { .. } => {}
            }
        }
        self.state_of(at, &contents, &names)
    }

    fn state_of(&self, at: f64, contents: &BTreeMap<FileId, Vec<u8>>, names: &BTreeMap<&Path, Node>) -> DiskState {
        let below = |path: &Path| path.strip_prefix(&self.root).unwrap().to_owned();
        let reachable = |path: &Path| {
            path.ancestors()
                .skip(1)
                .take_while(|folder| *folder != self.root)
                .all(|folder| names.get(folder) == Some(&Node::Folder))
        };
        let mut state = DiskState { at, files: Vec::new(), folders: Vec::new() };
        for (path, node) in names.iter().filter(|(path, _)| reachable(path)) {
            match node {
                Node::Folder => state.folders.push(below(path)),
                Node::File(id) => state.files.push((below(path), contents.get(id).cloned().unwrap_or_default())),
            }
        }
        state
    }
}

/// For each change, whether a sync of what it concerns began after it and has returned.
fn safety(past: &[Step]) -> Vec<bool> {
    let (mut files, mut folders) = (HashMap::<FileId, usize>::new(), HashMap::<&Path, usize>::new());
    for step in past {
        let last = match &step.change {
            Change::Sync { file } => files.entry(*file).or_default(),
            Change::SyncFolder { path } => folders.entry(path).or_default(),
            _ => continue,
        };
        *last = (*last).max(step.began);
    }
    let synced = |step: &Step| match &step.change {
        Change::Write { file, .. } | Change::Truncate { file, .. } => files.get(file).copied(),
        Change::Put { path, .. } | Change::Remove { path } => {
            path.parent().and_then(|folder| folders.get(folder).copied())
        }
        Change::Sync { .. } | Change::SyncFolder { .. } => Some(usize::MAX),
    };
    past.iter().map(|step| synced(step).is_some_and(|began| began > step.done)).collect()
}

impl DiskState {
    /// Makes the folder.
    pub fn write(&self, folder: &Path) {
        std::fs::create_dir(folder).unwrap();
        // Parents sort before their children.
        for path in &self.folders {
            std::fs::create_dir(folder.join(path)).unwrap();
        }
        for (path, content) in &self.files {
            std::fs::write(folder.join(path), content).unwrap();
        }
    }

    /// Its files, for a report.
    #[must_use]
    pub fn listing(&self) -> Vec<String> {
        self.files.iter().map(|(path, content)| format!("{} {}", path.display(), content.len())).collect()
    }
}

/// What an open descriptor stands for.
#[derive(Clone, Debug)]
enum Open {
    File { id: FileId, offset: usize, append: bool },
    Folder(PathBuf),
}

/// Turns calls into changes.
struct Reader {
    root: PathBuf,
    steps: Vec<Step>,
    names: BTreeMap<PathBuf, Node>,
    lengths: Vec<usize>,
    open: HashMap<i64, Open>,
}

/// A call as strace writes it.
struct Call {
    name: String,
    arguments: Vec<Argument>,
    result: i64,
}

#[derive(Debug)]
enum Argument {
    Text(Vec<u8>),
    Number(i64),
    Word(String),
}

impl Call {
    fn parse(text: &str) -> Option<Self> {
        let (name, rest) = text.split_once('(')?;
        let (inside, result) = rest.rsplit_once(" = ")?;
        let result = result.split(|c: char| !(c.is_ascii_digit() || c == '-')).next()?.parse().ok()?;
        let inside = inside.trim_end().strip_suffix(')')?;
        Some(Self { name: name.to_owned(), arguments: arguments(inside), result })
    }

    fn number(&self, index: usize) -> i64 {
        match self.arguments.get(index) {
            Some(Argument::Number(number)) => *number,
            other => panic!("{}: argument {index} is {other:?}", self.name),
        }
    }

    fn path(&self, index: usize) -> PathBuf {
        PathBuf::from(String::from_utf8(self.text(index).to_vec()).unwrap())
    }

    fn text(&self, index: usize) -> &[u8] {
        match self.arguments.get(index) {
            Some(Argument::Text(text)) => text,
            other => panic!("{}: argument {index} is {other:?}", self.name),
        }
    }

    fn word(&self, index: usize) -> &str {
        match self.arguments.get(index) {
            Some(Argument::Word(word)) => word,
            _ => "",
        }
    }
}

/// Arguments, with `-xx`: no text contains a quote, a comma or a bracket as such.
fn arguments(inside: &str) -> Vec<Argument> {
    inside
        .split(", ")
        .map(|part| {
            let part = part.trim();
            if let Some(text) = part.strip_prefix('"') {
                return Argument::Text(decode(text.trim_end_matches("...").trim_end_matches('"')));
            }
            // A descriptor is written with what it is open on.
            let number = part.split('<').next().unwrap_or(part);
            number.parse().map_or_else(|_| Argument::Word(part.to_owned()), Argument::Number)
        })
        .collect()
}

fn decode(text: &str) -> Vec<u8> {
    text.split("\\x").skip(1).map(|octet| u8::from_str_radix(octet, 16).unwrap()).collect()
}

impl Reader {
    fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            steps: Vec::new(),
            names: BTreeMap::new(),
            lengths: Vec::new(),
            open: HashMap::new(),
        }
    }

    fn call(&mut self, began: usize, done: usize, at: f64, text: &str) {
        // Sockets, pipes and the rest of the machine are no concern of ours: most lines end here.
        let Some(call) = Call::parse(text) else { return };
        if call.result < 0 {
            return;
        }
        let changes = self.changes(&call);
        self.steps.extend(changes.into_iter().map(|change| Step { began, done, at, change }));
    }

    fn ours(&self, path: &Path) -> bool {
        path.starts_with(&self.root) && path != self.root
    }

    fn changes(&mut self, call: &Call) -> Vec<Change> {
        match call.name.as_str() {
            "open" | "creat" => self.opened(call, &call.path(0), call.word(1)),
            "openat" => self.opened(call, &call.path(1), call.word(2)),
            "close" => {
                self.open.remove(&call.number(0));
                Vec::new()
            }
            "dup" | "dup2" | "dup3" => {
                if let Some(open) = self.open.get(&call.number(0)).cloned() {
                    self.open.insert(call.result, open);
                }
                Vec::new()
            }
            "lseek" => {
                if let Some(Open::File { offset, .. }) = self.open.get_mut(&call.number(0)) {
                    *offset = usize::try_from(call.result).unwrap();
                }
                Vec::new()
            }
            "write" => self.written(call, None),
            "pwrite64" if self.open.contains_key(&call.number(0)) => self.written(call, Some(call.number(3))),
            "ftruncate" => match self.open.get(&call.number(0)) {
                Some(Open::File { id, .. }) => vec![self.truncated(*id, call.number(1))],
                _ => Vec::new(),
            },
            "fsync" | "fdatasync" => match self.open.get(&call.number(0)) {
                Some(Open::File { id, .. }) => vec![Change::Sync { file: *id }],
                Some(Open::Folder(path)) => vec![Change::SyncFolder { path: path.clone() }],
                None => Vec::new(),
            },
            "mkdir" => self.put(call.path(0), Node::Folder),
            "mkdirat" => self.put(call.path(1), Node::Folder),
            "rmdir" | "unlink" => self.removed(call.path(0)),
            "unlinkat" => self.removed(call.path(1)),
            "rename" => self.renamed(&call.path(0), call.path(1)),
            "renameat" | "renameat2" => self.renamed(&call.path(1), call.path(3)),
            // A call that the model does not know, on one of our files, would make it wrong.
            other => {
                let ours = call.arguments.iter().any(|argument| match argument {
                    Argument::Number(number) => self.open.contains_key(number),
                    Argument::Text(text) => self.ours(Path::new(&*String::from_utf8_lossy(text))),
                    Argument::Word(_) => false,
                });
                assert!(!ours || other == "pwrite64", "the model does not know {other}");
                Vec::new()
            }
        }
    }

    fn opened(&mut self, call: &Call, path: &Path, flags: &str) -> Vec<Change> {
        if path == self.root || self.names.get(path) == Some(&Node::Folder) {
            if !flags.contains("O_TMPFILE") {
                self.open.insert(call.result, Open::Folder(path.to_owned()));
            }
            return Vec::new();
        }
        if !self.ours(path) {
            return Vec::new();
        }
        let mut changes = Vec::new();
        let id = match self.names.get(path) {
            Some(Node::File(id)) => *id,
            _ => {
                self.lengths.push(0);
                let id = self.lengths.len() - 1;
                changes.extend(self.put(path.to_owned(), Node::File(id)));
                id
            }
        };
        if flags.contains("O_TRUNC") && self.lengths[id] > 0 {
            changes.push(self.truncated(id, 0));
        }
        self.open.insert(call.result, Open::File { id, offset: 0, append: flags.contains("O_APPEND") });
        changes
    }

    fn written(&mut self, call: &Call, place: Option<i64>) -> Vec<Change> {
        let lengths = &mut self.lengths;
        let Some(Open::File { id, offset, append }) = self.open.get_mut(&call.number(0)) else { return Vec::new() };
        let octets = call.text(1)[..usize::try_from(call.result).unwrap()].to_vec();
        let start = match place {
            Some(place) => usize::try_from(place).unwrap(),
            None if *append => lengths[*id],
            None => *offset,
        };
        if place.is_none() {
            *offset = start + octets.len();
        }
        lengths[*id] = lengths[*id].max(start + octets.len());
        vec![Change::Write { file: *id, offset: start, octets }]
    }

    fn truncated(&mut self, file: FileId, length: i64) -> Change {
        let length = usize::try_from(length).unwrap();
        self.lengths[file] = length;
        Change::Truncate { file, length }
    }

    fn put(&mut self, path: PathBuf, node: Node) -> Vec<Change> {
        if !self.ours(&path) {
            return Vec::new();
        }
        self.names.insert(path.clone(), node.clone());
        vec![Change::Put { path, node }]
    }

    fn removed(&mut self, path: PathBuf) -> Vec<Change> {
        if self.names.remove(&path).is_some() { vec![Change::Remove { path }] } else { Vec::new() }
    }

    /// Both halves: each is safe when its own folder is.
    fn renamed(&mut self, from: &Path, to: PathBuf) -> Vec<Change> {
        let Some(node) = self.names.remove(from) else { return Vec::new() };
        assert!(node != Node::Folder, "the model does not know renamed folders");
        self.names.insert(to.clone(), node.clone());
        vec![Change::Put { path: to, node }, Change::Remove { path: from.to_owned() }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::Scratch;

    fn hexadecimal(text: &str) -> String {
        text.bytes().map(|octet| format!("\\x{octet:02x}")).collect()
    }

    /// A program that writes `a`, syncs it, appends without a sync, makes `b` by rename, syncs the folder.
    fn recorded(folder: &Scratch) -> Record {
        let root = folder.join("data");
        let path = |name: &str| hexadecimal(root.join(name).to_str().unwrap());
        let (a, n, b) = (path("a"), path("n"), path("b"));
        let here = hexadecimal(root.to_str().unwrap());
        let (first, second, new) = (hexadecimal("first"), hexadecimal("second"), hexadecimal("new"));
        let log = format!(
            "7 1.0 openat(AT_FDCWD, \"{a}\", O_WRONLY|O_CREAT, 0600) = 3<{a}>\n\
             7 1.1 write(3<{a}>, \"{first}\", 5) = 5\n\
             8 1.2 write(9<{a}>, \"{first}\", 5) = 5\n\
             7 1.3 fdatasync(3<{a}> <unfinished ...>\n\
             8 1.4 openat(AT_FDCWD, \"{here}\", O_RDONLY) = 4<{here}>\n\
             7 1.5 <... fdatasync resumed>) = 0\n\
             8 1.6 fsync(4<{here}>) = 0\n\
             8 1.61 close(6<{a}> <unfinished ...>\n\
             7 1.62 openat(AT_FDCWD, \"{here}\", O_RDONLY) = 6<{here}>\n\
             8 1.63 <... close resumed>) = 0\n\
             7 1.7 write(3<{a}>, \"{second}\", 6) = 6\n\
             7 1.8 openat(AT_FDCWD, \"{n}\", O_WRONLY|O_CREAT|O_EXCL, 0600) = 5<{n}>\n\
             7 1.9 pwrite64(5<{n}>, \"{new}\", 3, 0) = 3\n\
             7 2.0 fsync(5<{n}>) = 0\n\
             7 2.1 rename(\"{n}\", \"{b}\") = 0\n\
             8 2.2 fsync(6<{here}>) = 0\n"
        );
        Record::read(&folder.write("log", log), &root)
    }

    fn files(record: &Record, moment: usize, rest: Rest) -> Vec<(String, String)> {
        let state = record.state(moment, rest, &mut Chance::new(1));
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        state.files.iter().map(|(path, octets)| (path.display().to_string(), text(octets))).collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(name, content)| ((*name).to_owned(), (*content).to_owned())).collect()
    }

    #[test]
    fn only_what_was_synced_is_safe() {
        let folder = Scratch::new("record");
        let record = recorded(&folder);
        let all = record.len();
        assert_eq!(all, 11, "{record:#?}");
        assert_eq!(files(&record, all, Rest::Lost), pairs(&[("a", "first"), ("b", "new")]));
        assert_eq!(files(&record, all, Rest::Kept), pairs(&[("a", "firstsecond"), ("b", "new")]));
        // Before the last sync of the folder the new name is not safe, though its content is.
        assert_eq!(files(&record, all - 1, Rest::Lost), pairs(&[("a", "first")]));
        assert_eq!(files(&record, all - 1, Rest::Kept), pairs(&[("a", "firstsecond"), ("b", "new")]));
        // Before the first one there is not even a name.
        assert_eq!(files(&record, 3, Rest::Lost), pairs(&[]));
        assert_eq!(record.state(3, Rest::Lost, &mut Chance::new(1)).at, 1.6);
        let mut chance = Chance::new(3);
        let seen: std::collections::BTreeSet<Vec<String>> =
            (0..100).map(|_| record.state(all - 1, Rest::Subset, &mut chance).listing()).collect();
        assert!(seen.len() >= 6, "{seen:?}");
    }
}
