//! Places of a lab file: bytes, lines and columns.

use std::ops::Range;

/// A value and the bytes where the file says it.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Range<usize>,
}

/// A place of a lab file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Place {
    /// The bytes of the source, from character to character.
    pub span: Range<usize>,
    /// The line of the start of `span`, from 1.
    pub line: usize,
    /// The column of the start of `span`, in characters, from 1.
    pub column: usize,
}

/// Finds lines and columns of places without reading the source again for each.
pub(crate) struct Lines<'s> {
    source: &'s str,
    starts: Vec<usize>,
}

impl<'s> Lines<'s> {
    pub(crate) fn new(source: &'s str) -> Self {
        let after_breaks = source.match_indices('\n').map(|(place, _)| place + 1);
        Lines {
            source,
            starts: std::iter::once(0).chain(after_breaks).collect(),
        }
    }

    /// Returns the line of a byte, from 1.
    pub(crate) fn line(&self, byte: usize) -> usize {
        self.starts.partition_point(|start| *start <= byte)
    }

    /// Returns the place of a span, which is cut to characters of the source.
    pub(crate) fn place(&self, span: Range<usize>) -> Place {
        let cut = |mut byte: usize| {
            byte = byte.min(self.source.len());
            while !self.source.is_char_boundary(byte) {
                byte -= 1;
            }
            byte
        };
        let start = cut(span.start);
        let end = cut(span.end).max(start);
        let line = self.line(start);
        Place {
            span: start..end,
            line,
            column: self.source[self.starts[line - 1]..start].chars().count() + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_and_stay_inside() {
        let lines = Lines::new("ab\r\né = 1\n");
        let check = |span: Range<usize>, cut: Range<usize>, line: usize, column: usize| {
            let place = lines.place(span);
            assert_eq!((place.span, place.line, place.column), (cut, line, column));
        };
        check(0..1, 0..1, 1, 1);
        check(4..6, 4..6, 2, 1);
        check(7..8, 7..8, 2, 3);
        // Inside a character.
        check(5..6, 4..6, 2, 1);
        // Past the end.
        check(11..99, 11..11, 3, 1);
    }
}
