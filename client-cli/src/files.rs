//! The files of definitions that a call names: files, folders of them, or stdin.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use tidemark_model::definition::SourceText;

use crate::error::Error;

/// What stands for stdin.
const STDIN: &str = "-";

/// Reads every file that is named, in the given order; of a folder the files in it that end in
/// `.toml`, in the order of their names.
///
/// # Errors
/// A path that is not there or cannot be read, or a folder without such a file.
pub(crate) fn read(paths: &[PathBuf]) -> Result<Vec<SourceText>, Error> {
    let mut texts = Vec::new();
    for path in paths {
        if path.as_os_str() == STDIN {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).map_err(|source| file(path, source))?;
            texts.push(SourceText { name: "<stdin>".to_owned(), text });
        } else if path.is_dir() {
            for path in in_folder(path)? {
                texts.push(read_file(&path)?);
            }
        } else {
            texts.push(read_file(path)?);
        }
    }
    Ok(texts)
}

fn in_folder(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(folder).map_err(|source| file(folder, source))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|source| file(folder, source))?.path();
        if path.extension().is_some_and(|extension| extension == "toml") && path.is_file() {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(Error::EmptyFolder { path: folder.to_owned() });
    }
    paths.sort();
    Ok(paths)
}

fn read_file(path: &Path) -> Result<SourceText, Error> {
    let text = fs::read_to_string(path).map_err(|source| file(path, source))?;
    Ok(SourceText { name: path.display().to_string(), text })
}

fn file(path: &Path, source: io::Error) -> Error {
    Error::File { path: path.to_owned(), source }
}
