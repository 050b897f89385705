//! The files of definitions that a call names: files, folders of them, or stdin.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::string::FromUtf8Error;

use tidemark_model::definition::{Problem, Problems, SourceText, parse};

use crate::error::Error;

/// What stands for stdin.
const STDIN: &str = "-";

/// Reads every file that is named, in the given order; of a folder the files in it that end in
/// `.toml`, in the order of their names.
///
/// # Errors
/// A path that is not there or cannot be read, or a folder without such a file. A file that is not
/// UTF-8 is a problem of definitions: it is told with those of all the others.
pub(crate) fn read(paths: &[PathBuf]) -> Result<Vec<SourceText>, Error> {
    let mut reading = Reading::default();
    for path in paths {
        if path.as_os_str() == STDIN {
            let mut bytes = Vec::new();
            let read = io::stdin().read_to_end(&mut bytes).map(|_| bytes);
            reading.take(path, "<stdin>".to_owned(), read);
        } else if path.is_dir() {
            match in_folder(path) {
                Ok(files) if files.is_empty() => reading.empty(path),
                Ok(files) => files.iter().for_each(|file| reading.file(file)),
                Err(source) => reading.unread(path, source),
            }
        } else {
            reading.file(path);
        }
    }
    reading.end()
}

fn in_folder(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// What was read so far, and what could not be.
#[derive(Default)]
struct Reading {
    /// Of all of them, in the given order.
    names: Vec<String>,
    texts: Vec<SourceText>,
    problems: Vec<Problem>,
    /// Paths with nothing to read, as a problem beside others and as an error of its own.
    unread: Vec<(Problem, Error)>,
}

impl Reading {
    fn file(&mut self, path: &Path) {
        self.take(path, path.display().to_string(), fs::read(path));
    }

    fn take(&mut self, path: &Path, name: String, bytes: io::Result<Vec<u8>>) {
        match bytes.map(String::from_utf8) {
            Ok(Ok(text)) => {
                self.names.push(name.clone());
                self.texts.push(SourceText { name, text });
            }
            Ok(Err(error)) => {
                self.names.push(name.clone());
                self.problems.push(not_utf8(name, &error));
            }
            Err(source) => self.unread(path, source),
        }
    }

    fn unread(&mut self, path: &Path, source: io::Error) {
        let message = format!("cannot be read: {source}");
        self.nothing(path, message, Error::File { path: path.to_owned(), source });
    }

    fn empty(&mut self, folder: &Path) {
        let message = "holds no file that ends in .toml".to_owned();
        self.nothing(folder, message, Error::EmptyFolder { path: folder.to_owned() });
    }

    fn nothing(&mut self, path: &Path, message: String, error: Error) {
        let name = path.display().to_string();
        self.names.push(name.clone());
        self.unread.push((problem(name, (1, 1), message), error));
    }

    /// The texts, if all could be read; otherwise everything that is wrong in any file. Alone, a
    /// path with nothing to read is no problem of a definition.
    fn end(self) -> Result<Vec<SourceText>, Error> {
        let Self { names, texts, mut problems, unread } = self;
        if problems.is_empty() && unread.is_empty() {
            return Ok(texts);
        }
        if let Err(others) = parse(&texts, &[]) {
            problems.extend(others.iter().cloned());
        }
        let (missing, mut errors): (Vec<Problem>, Vec<Error>) = unread.into_iter().unzip();
        if problems.is_empty()
            && errors.len() == 1
            && let Some(error) = errors.pop()
        {
            return Err(error);
        }
        problems.extend(missing);
        problems.sort_by_key(|problem| {
            let file = names.iter().position(|name| *name == problem.file);
            (file, problem.line, problem.column)
        });
        Problems::none_in(problems).map_err(|problems| Error::Definitions { problems })?;
        Ok(texts)
    }
}

/// The first byte that is none of UTF-8, by its place.
fn not_utf8(name: String, error: &FromUtf8Error) -> Problem {
    let good = error.utf8_error().valid_up_to();
    let good = error.as_bytes().get(..good).unwrap_or_default();
    let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
    let last = good.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let column = String::from_utf8_lossy(last).chars().count() + 1;
    let problem = problem(name, (line, column), "not TOML: not UTF-8".to_owned());
    Problem { hint: Some("save the file as UTF-8".to_owned()), ..problem }
}

fn problem(file: String, (line, column): (usize, usize), message: String) -> Problem {
    Problem { file, line, column, connection: None, path: String::new(), message, hint: None }
}
