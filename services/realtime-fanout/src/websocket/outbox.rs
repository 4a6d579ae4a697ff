//! Frames of one socket that wait to be written.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use crate::session::Frame;

/// Frames that are written in one system call.
const VECTOR: usize = 32;
/// Places that an outbox keeps when it is empty.
const KEPT: usize = 4;

/// What waits, in its order.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: VecDeque<Frame>,
    /// Bytes of the first one that are written.
    written: usize,
    /// The kernel takes nothing at the moment; otherwise what waits only has time.
    blocked: bool,
    /// Nothing more can be written.
    ended: bool,
}

impl Outbox {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Drops everything, and takes nothing more.
    pub(super) fn end(&mut self) {
        *self = Self {
            ended: true,
            ..Self::default()
        };
    }

    pub(super) fn push(&mut self, frame: Frame) {
        self.waiting.push_back(frame);
    }

    /// Queues the rest of a frame of which some bytes are written.
    pub(super) fn push_rest(&mut self, frame: Frame, written: usize) {
        self.written = written;
        self.blocked = true;
        self.waiting.push_back(frame);
    }

    /// Writes with `write` until nothing waits or nothing more is taken. Returns whether nothing
    /// waits.
    ///
    /// # Errors
    /// Whatever `write` says, except that it cannot at the moment.
    pub(super) fn drain(
        &mut self,
        mut write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<bool> {
        while !self.waiting.is_empty() {
            let mut skip = self.written;
            let mut slices = Vec::with_capacity(self.waiting.len().min(VECTOR));
            for frame in self.waiting.iter().take(VECTOR) {
                slices.push(IoSlice::new(frame.wire().get(skip..).unwrap_or_default()));
                skip = 0;
            }
            match write(&slices) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.advance(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked = true;
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        self.blocked = false;
        if self.waiting.capacity() > KEPT {
            self.waiting = VecDeque::new();
        }
        Ok(true)
    }

    fn advance(&mut self, count: usize) {
        self.written += count;
        while let Some(first) = self.waiting.front() {
            let length = first.wire().len();
            if self.written < length {
                return;
            }
            self.written -= length;
            self.waiting.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_leave_in_order_however_few_are_taken() {
        let mut outbox = Outbox::default();
        let mut wanted = Vec::new();
        for number in 0..100_u8 {
            let frame = Frame::wire_only(&vec![number; usize::from(number) + 1]);
            wanted.extend_from_slice(frame.wire());
            outbox.push(frame);
        }
        let mut taken = Vec::new();
        let mut blocked = false;
        loop {
            let done = outbox.drain(|slices| {
                blocked = !blocked;
                if blocked {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
                let count = bytes.len().min(37);
                taken.extend_from_slice(&bytes[..count]);
                Ok(count)
            });
            if done.unwrap() {
                break;
            }
        }
        assert_eq!(taken, wanted);
        assert!(outbox.is_empty() && outbox.written == 0);
    }

    #[test]
    fn a_frame_that_was_begun_is_finished_first() {
        let mut outbox = Outbox::default();
        outbox.push_rest(Frame::wire_only(b"abc"), 1);
        outbox.push(Frame::wire_only(b"de"));
        let mut taken = Vec::new();
        let done = outbox.drain(|slices| {
            for slice in slices {
                taken.extend_from_slice(slice);
            }
            Ok(slices.iter().map(|slice| slice.len()).sum())
        });
        assert!(done.unwrap());
        assert_eq!(taken, b"bcde");
    }
}
