//! Tables without lines, and the colours of what stands in them.

use comfy_table::{Attribute, Cell as Drawn, CellAlignment, Color, ContentArrangement, Table};

/// What a cell's colour says. The text says it as well: colour is never the only sign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    #[default]
    Plain,
    Good,
    Attention,
    Bad,
    Faint,
}

/// One cell.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
    right: bool,
}

impl Cell {
    /// Plain text. What is not known is `-`, so that columns can be counted by programs.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let text = if text.is_empty() { "-".to_owned() } else { text };
        Self { text, tone: Tone::Plain, right: false }
    }

    /// Nothing, below a cell that speaks for this one as well.
    pub(crate) fn blank() -> Self {
        Self { text: String::new(), tone: Tone::Plain, right: false }
    }

    /// Text that may not be known.
    pub(crate) fn or_none(text: Option<impl Into<String>>) -> Self {
        Self::new(text.map(Into::into).unwrap_or_default())
    }

    pub(crate) fn tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }

    /// Flush right, for numbers.
    pub(crate) fn right(mut self) -> Self {
        self.right = true;
        self
    }

    fn draw(self) -> Drawn {
        let drawn = Drawn::new_owned(self.text);
        let drawn = match self.tone {
            Tone::Plain => drawn,
            Tone::Good => drawn.fg(Color::Green),
            Tone::Attention => drawn.fg(Color::Yellow),
            Tone::Bad => drawn.fg(Color::Red),
            Tone::Faint => drawn.add_attribute(Attribute::Dim),
        };
        if self.right { drawn.set_alignment(CellAlignment::Right) } else { drawn }
    }
}

/// Cells are not wrapped on terminals of fewer columns.
const NARROWEST: u16 = 60;

/// Draws a table. On a terminal cells are wrapped to its width; elsewhere each row is a line.
pub(crate) fn draw(columns: &[&str], rows: Vec<Vec<Cell>>, wrap: bool) -> String {
    let mut table = Table::new();
    table
        .load_style(comfy_table::presets::NOTHING)
        // The stream that it is written to takes the colours out where they do not belong.
        .enforce_styling();
    // A terminal that does not say how wide it is, or that is narrower than the words.
    let wide_enough = table.width().is_some_and(|width| width >= NARROWEST);
    if wrap && wide_enough {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    // Otherwise the padding is styled too, and cannot be taken off the end of a line.
    table.style_text_only();
    let header = columns.iter().map(|name| Drawn::new(name).add_attribute(Attribute::Bold));
    table.set_header(header.collect::<Vec<_>>());
    for row in rows {
        table.add_row(row.into_iter().map(Cell::draw).collect::<Vec<_>>());
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}
