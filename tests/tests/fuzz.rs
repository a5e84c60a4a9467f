//! The kept inputs of the fuzzers, each once: what was found stays found. `tests/fuzz/run` is the fuzzer itself.
#![allow(clippy::expect_used)]

use std::path::Path;

#[test]
fn every_kept_input_ends_with_a_verdict() {
    let corpus = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus"));
    for target in fuzz::TARGETS {
        let (inputs, deep) = fuzz::replay(corpus, target);
        println!("{}: {inputs} inputs", target.name);
        assert!(inputs >= (target.seeds)().len(), "{}: the corpus is not there", target.name);
        assert!(deep.is_empty(), "{}: the planted panic is in {deep:?}; --planted would show nothing", target.name);
    }
}

#[test]
fn every_folder_of_the_corpus_has_its_target() {
    let corpus = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus"));
    for entry in corpus.read_dir().expect("the corpus") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        assert!(fuzz::target(&name).is_some(), "nothing reads {name}");
    }
}
