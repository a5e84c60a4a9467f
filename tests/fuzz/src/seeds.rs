//! Seeds, and the kept corpus without a fuzzer.
//!
//! * no argument: lists the targets and what each covers, one line each;
//! * `DIR [TARGET]`: writes the seeds into `DIR/TARGET/`;
//! * `--replay DIR TARGET`: feeds every kept input to its target once, and names those with the planted panic.
#![allow(clippy::expect_used)]

use std::{fs, path::Path};

fn main() {
    fuzz::world::make_keys();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => fuzz::TARGETS.iter().for_each(|target| println!("{} {}", target.name, target.covers.join(" "))),
        ["--replay", folder, target] => {
            let (_, deep) = fuzz::replay(Path::new(folder), fuzz::target(target).expect("a target that exists"));
            deep.iter().for_each(|path| println!("{path}"));
        }
        [folder, wanted @ ..] => {
            for target in fuzz::TARGETS.iter().filter(|target| wanted.is_empty() || wanted.contains(&target.name)) {
                write(&Path::new(folder).join(target.name), (target.seeds)());
            }
        }
    }
}

fn write(into: &Path, seeds: Vec<(&str, Vec<u8>)>) {
    fs::create_dir_all(into).expect("the folder can be made");
    for (name, octets) in seeds {
        fs::write(into.join(name), octets).expect("the seed can be written");
    }
}
