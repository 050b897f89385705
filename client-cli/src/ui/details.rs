//! What is known of one thing: titled sections of names and values, and tables below them.

use std::fmt;

use super::table::{self, Cell};

/// A page about one thing.
#[derive(Debug, Default)]
pub(crate) struct Details {
    sections: Vec<Section>,
}

#[derive(Debug)]
struct Section {
    title: String,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Pairs(Vec<(String, String)>),
    Table { columns: &'static [&'static str], rows: Vec<Vec<Cell>> },
    Text(String),
}

impl Details {
    /// Begins a section of names and values. A title may be empty.
    pub(crate) fn section(mut self, title: &str) -> Self {
        self.sections.push(Section { title: title.to_owned(), body: Body::Pairs(Vec::new()) });
        self
    }

    /// Adds a name and a value to the newest section of pairs.
    pub(crate) fn pair(mut self, name: &str, value: impl Into<String>) -> Self {
        let pair = (name.to_owned(), value.into());
        match self.sections.last_mut() {
            Some(Section { body: Body::Pairs(pairs), .. }) => pairs.push(pair),
            _ => {
                self.sections.push(Section { title: String::new(), body: Body::Pairs(vec![pair]) })
            }
        }
        self
    }

    /// Adds a pair if there is a value.
    pub(crate) fn pair_if(self, name: &str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.pair(name, value),
            None => self,
        }
    }

    /// Adds a table, unless it has no rows.
    pub(crate) fn table(
        mut self,
        title: &str,
        columns: &'static [&'static str],
        rows: Vec<Vec<Cell>>,
    ) -> Self {
        if !rows.is_empty() {
            let body = Body::Table { columns, rows };
            self.sections.push(Section { title: title.to_owned(), body });
        }
        self
    }

    /// Adds text as it is.
    pub(crate) fn text(mut self, title: &str, text: impl Into<String>) -> Self {
        self.sections.push(Section { title: title.to_owned(), body: Body::Text(text.into()) });
        self
    }
}

impl fmt::Display for Details {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filled = self
            .sections
            .iter()
            .filter(|section| !matches!(&section.body, Body::Pairs(pairs) if pairs.is_empty()));
        for (place, section) in filled.enumerate() {
            if place > 0 {
                writeln!(f)?;
            }
            let margin = if section.title.is_empty() { "" } else { "  " };
            if !section.title.is_empty() {
                writeln!(f, "{}", section.title)?;
            }
            let body = match &section.body {
                Body::Pairs(pairs) => pair_lines(pairs),
                Body::Table { columns, rows } => table::draw(columns, rows.clone(), false),
                Body::Text(text) => text.clone(),
            };
            for line in body.lines() {
                if line.is_empty() {
                    writeln!(f)?;
                } else {
                    writeln!(f, "{margin}{line}")?;
                }
            }
        }
        Ok(())
    }
}

/// Values stand in one column; their further lines are below their first.
fn pair_lines(pairs: &[(String, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0) + 2;
    let mut text = String::new();
    for (name, value) in pairs {
        let mut label = name.as_str();
        for line in value.lines() {
            text.push_str(format!("{label:<width$}{line}").trim_end());
            text.push('\n');
            label = "";
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_apart_and_values_in_one_column() {
        let page = Details::default()
            .section("connection")
            .pair("id", "acme/newsletter")
            .pair("health", "failing\nthe key was refused")
            .section("nothing")
            .table("runs", &["RUN", "OUTCOME"], vec![vec![Cell::new("1"), Cell::new("in step")]])
            .to_string();
        let page = anstream::adapter::strip_str(&page).to_string();
        let lines = [
            "connection",
            "  id      acme/newsletter",
            "  health  failing",
            "          the key was refused",
            "",
            "runs",
            "  RUN  OUTCOME",
            "  1    in step",
            "",
        ];
        assert_eq!(page, lines.join("\n"));
    }
}
