//! A message on its way out, read a little ahead of the socket on a thread that may wait for the disk.

use std::{io, sync::Arc};

use tokio::sync::mpsc;
use zeroize::Zeroizing;

use crate::queued::Load;

/// Octets read at once.
const PIECE: usize = 128 * 1024;
/// Pieces read ahead.
const AHEAD: usize = 2;

/// Up to here a message is read at once: it is in memory.
const SMALL: u64 = 1 << 20;

type Piece = io::Result<Zeroizing<Vec<u8>>>;

/// Pieces of a message, in order.
pub(super) struct Feed {
    piece: Piece,
    given: usize,
    /// Where the others come from, while there are any.
    others: Option<mpsc::Receiver<Piece>>,
}

impl Feed {
    /// From the beginning of the message.
    pub(super) fn of(load: &Load) -> Self {
        if load.size <= SMALL {
            let mut whole = Zeroizing::new(Vec::with_capacity(usize::try_from(load.size).unwrap_or(0)));
            let read = load.source.reader(0).and_then(|mut reader| reader.read_to_end(&mut whole));
            return Self { piece: read.map(|_| whole), given: 0, others: None };
        }
        let (sender, others) = mpsc::channel(AHEAD);
        let load = load.clone();
        tokio::task::spawn_blocking(move || read(&load, &sender));
        Self { piece: Ok(Zeroizing::default()), given: 0, others: Some(others) }
    }

    /// What is to be sent next; nothing at the end.
    ///
    /// # Errors
    /// Those of wherever the message is.
    pub(super) async fn next(&mut self) -> io::Result<&[u8]> {
        if let Some(others) = &mut self.others
            && self.piece.as_ref().is_ok_and(|piece| piece.len() == self.given)
        {
            self.piece = others.recv().await.unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()));
            self.given = 0;
            if self.piece.as_ref().is_ok_and(|piece| piece.is_empty()) {
                self.others = None;
            }
        }
        match &self.piece {
            Ok(piece) => Ok(piece.get(self.given..).unwrap_or_default()),
            Err(error) => Err(error.kind().into()),
        }
    }

    /// So much of it was taken; whether that was all of it.
    pub(super) fn took(&mut self, octets: usize) -> bool {
        let length = self.piece.as_ref().map_or(0, |piece| piece.len());
        self.given = self.given.saturating_add(octets).min(length);
        self.others.is_none() && self.given == length
    }
}

/// Sends piece after piece, and an empty one at the end: whoever gets none was cut off.
fn read(load: &Load, pieces: &mpsc::Sender<Piece>) {
    let source = Arc::clone(&load.source);
    let mut reader = match source.reader(0) {
        Ok(reader) => reader,
        Err(error) => return drop(pieces.blocking_send(Err(error))),
    };
    let room = usize::try_from(load.size).unwrap_or(PIECE).saturating_add(1).min(PIECE);
    loop {
        let mut piece = Zeroizing::new(vec![0; room]);
        let read = fill(&mut *reader, &mut piece);
        let over = !matches!(read, Ok(1..));
        let piece = read.map(|length| {
            piece.truncate(length);
            piece
        });
        if pieces.blocking_send(piece).is_err() || over {
            return;
        }
    }
}

/// Reads until the buffer is full or the input ends.
fn fill(reader: &mut dyn io::Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0usize;
    while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
        match reader.read(room)? {
            0 => break,
            read => filled = filled.saturating_add(read),
        }
    }
    Ok(filled)
}
