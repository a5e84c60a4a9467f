//! Tells the story: scenes, numbered steps, what programs said, and whether it is as it should be.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use super::StoryError;

/// Columns of a line.
const WIDTH: usize = 110;
/// In front of what belongs to a step.
const INDENT: &str = "      ";

/// What a check found: nothing to say, or what is not as it should be.
pub type Finding = Result<(), Mismatch>;

/// Something is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// What should have been.
    pub expected: String,
    /// What was.
    pub found: String,
}

/// A finding from a question, with what to say when the answer is no.
///
/// # Errors
/// When `holds` is false.
pub fn check(holds: bool, expected: impl ToString, found: impl ToString) -> Finding {
    if holds { Ok(()) } else { Err(Mismatch { expected: expected.to_string(), found: found.to_string() }) }
}

/// Who tells it, and to whom.
pub struct Teller {
    out: Box<dyn Write + Send>,
    colours: bool,
    scene: u32,
    step: u32,
    held: u32,
    current: String,
}

impl Teller {
    /// Tells it on standard output; in colours when somebody looks at it.
    pub fn on_stdout() -> Self {
        let out = io::stdout();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
            || std::env::var_os("TERM").is_some_and(|v| v == "dumb");
        let colours = out.is_terminal() && !plain;
        Self::new(Box::new(out), colours)
    }

    /// Tells it into anything.
    pub fn new(out: Box<dyn Write + Send>, colours: bool) -> Self {
        Self { out, colours, scene: 0, step: 0, held: 0, current: String::new() }
    }

    /// How many expectations were met so far.
    pub const fn held(&self) -> u32 {
        self.held
    }

    /// A heading without a number.
    ///
    /// # Errors
    /// When nobody listens any more; so for all that follow.
    pub fn heading(&mut self, title: &str) -> Result<(), StoryError> {
        let line = self.painted("1", title);
        self.line(&line)
    }

    /// The next scene.
    ///
    /// # Errors
    /// See [`Self::heading`].
    pub fn scene(&mut self, title: &str) -> Result<(), StoryError> {
        self.scene = self.scene.saturating_add(1);
        self.step = 0;
        let line = self.painted("1", &format!("{}. {title}", self.scene));
        self.line("")?;
        self.line(&line)
    }

    /// The next step of the scene: what is attempted.
    ///
    /// # Errors
    /// See [`Self::heading`].
    pub fn step(&mut self, text: &str) -> Result<(), StoryError> {
        self.step = self.step.saturating_add(1);
        let number = format!("{}.{}", self.scene, self.step);
        self.current = format!("{number} {text}");
        self.line("")?;
        self.wrapped(&format!("{number:<width$}", width = INDENT.len()), INDENT, text)
    }

    /// Plain words below a step.
    ///
    /// # Errors
    /// See [`Self::heading`].
    pub fn say(&mut self, text: &str) -> Result<(), StoryError> {
        self.wrapped(INDENT, INDENT, text)
    }

    /// Something that was made or is to be known, with its name in front.
    ///
    /// # Errors
    /// See [`Self::heading`].
    pub fn fact(&mut self, name: &str, text: &str) -> Result<(), StoryError> {
        const NAME: usize = 20;
        self.wrapped(&format!("{INDENT}{name:<NAME$}"), &format!("{INDENT}{:<NAME$}", ""), text)
    }

    /// What a program or a message says, word for word.
    ///
    /// # Errors
    /// See [`Self::heading`].
    pub fn quote(&mut self, text: &str) -> Result<(), StoryError> {
        let bar = self.painted("2", "│");
        for line in text.lines() {
            let line = legible(line);
            self.wrapped(&format!("{INDENT}{bar} "), &format!("{INDENT}{bar}   "), &line)?;
        }
        Ok(())
    }

    /// A line that must stay in one piece: a command.
    ///
    /// # Errors
    /// See [`Self::heading`].
    pub fn command(&mut self, text: &str) -> Result<(), StoryError> {
        let line = self.painted("1", &format!("$ {text}"));
        self.line(&format!("{INDENT}{line}"))
    }

    /// Something happened as it should, or not.
    ///
    /// # Errors
    /// [`StoryError::Unexpected`] when it did not.
    pub fn expect(&mut self, what: &str, finding: Finding) -> Result<(), StoryError> {
        let Err(Mismatch { expected, found }) = finding else {
            self.held = self.held.saturating_add(1);
            let mark = self.painted("32", "✓");
            return self.wrapped(&format!("{INDENT}{mark} "), &format!("{INDENT}  "), what);
        };
        let mark = self.painted("31", "✗");
        self.wrapped(&format!("{INDENT}{mark} "), &format!("{INDENT}  "), &format!("NOT as it should: {what}"))?;
        self.fact("expected", &expected.replace('\n', " / "))?;
        self.fact("found", &found.replace('\n', " / "))?;
        Err(StoryError::Unexpected { step: self.current.clone(), expected, found })
    }

    /// The last line.
    ///
    /// # Errors
    /// See [`Self::heading`].
    pub fn end(&mut self, took: Duration) -> Result<(), StoryError> {
        let line = format!("All {} expectations were met, in {:.1} s.", self.held, took.as_secs_f64());
        let line = self.painted("1;32", &line);
        self.line("")?;
        self.line(&line)
    }

    /// One line as it is.
    ///
    /// # Errors
    /// See [`Self::heading`].
    pub fn line(&mut self, text: &str) -> Result<(), StoryError> {
        writeln!(self.out, "{}", text.trim_end()).and_then(|()| self.out.flush()).map_err(StoryError::Output)
    }

    fn painted(&self, colour: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Words in lines of bounded length.
    fn wrapped(&mut self, first: &str, others: &str, text: &str) -> Result<(), StoryError> {
        let mut line = first.to_owned();
        // Colours take no columns.
        let mut column = others.chars().filter(|c| !c.is_control()).count().min(INDENT.len().saturating_add(20));
        let start = column;
        for word in text.split(' ') {
            let length = word.chars().count();
            if column > start && column.saturating_add(length) >= WIDTH {
                self.line(&line)?;
                others.clone_into(&mut line);
                column = start;
            }
            if column > start {
                line.push(' ');
            }
            line.push_str(word);
            column = column.saturating_add(length).saturating_add(1);
        }
        self.line(&line)
    }
}

/// Without anything that a terminal would obey.
fn legible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Paper {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    #[test]
    fn numbers_scenes_and_steps_and_keeps_lines_short() {
        let paper = Paper::default();
        let mut teller = Teller::new(Box::new(paper.clone()), false);
        teller.scene("One").unwrap();
        teller.step(&"word ".repeat(60)).unwrap();
        teller.quote("a\x1b[31mb").unwrap();
        teller.scene("Two").unwrap();
        teller.step("short").unwrap();
        teller.expect("it is so", Ok(())).unwrap();
        let text = paper.text();
        assert!(text.contains("\n1. One\n") && text.contains("\n1.1   word word"), "{text}");
        assert!(text.contains("\n2.1   short\n      ✓ it is so\n"), "{text}");
        assert!(text.contains("a?[31mb"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert_eq!(teller.held(), 1);
    }

    #[test]
    fn says_what_was_expected_and_ends() {
        let paper = Paper::default();
        let mut teller = Teller::new(Box::new(paper.clone()), false);
        teller.scene("One").unwrap();
        teller.step("try").unwrap();
        let ended = teller.expect("refused", check(false, "550", "250 yes"));
        assert!(matches!(ended, Err(StoryError::Unexpected { step, .. }) if step == "1.1 try"));
        let text = paper.text();
        assert!(text.contains("✗ NOT as it should: refused"), "{text}");
        assert!(text.contains("expected            550") && text.contains("found               250 yes"), "{text}");
        assert_eq!(teller.held(), 0);
    }
}
