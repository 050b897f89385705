//! A reading under way: pages come in, become durable, and lie over the mirror.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use tidemark_model::{
    entry::Coverage,
    failure::{Failure, FailureKind, Side},
    progress::Stage,
    receipt::Cost,
};

use super::{
    PAGES, PageRef,
    overlay::Overlay,
    page::{self, Front},
    standing::Standing,
};
use crate::{
    blocking::blocking,
    pace::Pace,
    port::{Host, KeyTime, Mirror, MirrorRow, Page, PageHead, PageWriter},
    snapshot::Snapshot,
    store::{Creation, Folder, StoreError},
};

/// Pages that are read at once when a reading is taken up again.
const SIMULTANEOUS_READS: usize = 8;
/// Keys that are looked up at once in the snapshot.
const LOOK_UP_KEYS: usize = 1_000;

/// Where a reading keeps what does not fit in memory.
#[derive(Clone, Debug)]
pub struct SessionSettings {
    /// A folder of the local disk.
    pub spill_folder: PathBuf,
    /// Staged keys that are held in memory, about 200 bytes each.
    pub keys_in_memory: usize,
}

/// A reading of one workflow run. Another attempt, on whatever worker, opens it anew from the
/// pages that are durable.
pub struct ReadingSession<'h> {
    folder: Folder,
    pages_folder: String,
    committed: Option<Snapshot>,
    overlay: Arc<Mutex<Overlay>>,
    staged: Mutex<Staged>,
    full: AtomicBool,
    host: &'h dyn Host,
    pace: Pace,
}

#[derive(Default)]
struct Staged {
    pages: Vec<(PageHead, PageRef)>,
    row_count: u64,
}

impl<'h> ReadingSession<'h> {
    /// Opens the reading of a workflow run over the last committed snapshot.
    ///
    /// # Errors
    /// A damaged page, the store's, or those of the spill folder.
    pub async fn open(
        folder: &Folder,
        committed: Option<Snapshot>,
        coverage: Coverage,
        settings: SessionSettings,
        host: &'h dyn Host,
    ) -> Result<Self, Failure> {
        let pages_folder = format!("{PAGES}/{}", host.owner().run_id);
        let names = folder.list(&pages_folder).await?;
        let began_full = names.iter().any(|name| name == BEGAN_FULL);
        let overlay = Overlay::new(settings.spill_folder, settings.keys_in_memory);
        let mut session = Self {
            folder: folder.clone(),
            full: (coverage == Coverage::Full || began_full || committed.is_none()).into(),
            committed,
            overlay: Arc::new(Mutex::new(overlay)),
            staged: Mutex::default(),
            host,
            pace: Pace::begin(host.clock(), Stage::Read, 0),
            pages_folder,
        };
        session.take_up(&names).await?;
        let rows = session.with_staged(|staged| staged.row_count);
        session.pace = Pace::begin(host.clock(), Stage::Read, rows);
        Ok(session)
    }

    /// Lays the pages of earlier attempts over the mirror.
    async fn take_up(&self, names: &[String]) -> Result<(), Failure> {
        let paths = names
            .iter()
            .filter(|name| name.ends_with(PAGE_ENDING))
            .map(|name| format!("{}/{name}", self.pages_folder));
        stream::iter(paths)
            .map(|path| async move {
                let front = page::find(&self.folder, &path).await?;
                front.ok_or(StoreError::Missing { path }).map_err(Failure::from)
            })
            .buffer_unordered(SIMULTANEOUS_READS)
            .boxed()
            .try_for_each(|front| self.take_in(front))
            .await
    }

    /// Lays a durable page over the mirror.
    async fn take_in(&self, front: Front) -> Result<(), Failure> {
        let Front { head, rows, gone, page } = front;
        let bases = match self.coverage() {
            Coverage::Full => Vec::new(),
            Coverage::Changes => {
                let rows = rows.iter().map(|row| row.key.clone());
                let keys: Vec<String> =
                    rows.chain(gone.iter().map(|mark| mark.key.clone())).collect();
                self.committed_rows(&keys).await?
            }
        };
        let sent_at = head.sent_at;
        self.with_overlay(move |overlay| {
            let mut bases = bases.into_iter();
            for row in &rows {
                overlay.add(&row.key, Standing::seen(row, sent_at, bases.next().flatten()))?;
            }
            for mark in &gone {
                overlay.add(
                    &mark.key,
                    Standing::gone(mark.modified, sent_at, bases.next().flatten()),
                )?;
            }
            Ok(())
        })
        .await?;
        let rows = self.with_staged(|staged| {
            staged.row_count += page.row_count;
            staged.pages.push((head, page));
            staged.row_count
        });
        // Only a full reading knows how much there is to come.
        let total = self.committed.as_ref().filter(|_| self.reads_in_full());
        let total = total.map(Snapshot::row_count);
        self.host.report(self.pace.progress(self.host.clock(), rows, total));
        Ok(())
    }

    async fn committed_rows(&self, keys: &[String]) -> Result<Vec<Option<MirrorRow>>, Failure> {
        let Some(committed) = &self.committed else { return Ok(vec![None; keys.len()]) };
        let mut rows = Vec::with_capacity(keys.len());
        for keys in keys.chunks(LOOK_UP_KEYS) {
            let found = committed.look_up(keys, false).await?;
            let named = found.into_iter().zip(keys);
            rows.extend(named.map(|(row, key)| row.map(|row| row.reading(key))));
        }
        Ok(rows)
    }

    fn reads_in_full(&self) -> bool {
        self.full.load(Ordering::SeqCst)
    }

    fn with_staged<R>(&self, look: impl FnOnce(&mut Staged) -> R) -> R {
        look(&mut self.staged.lock().expect("no holder of this lock panics"))
    }

    /// Passes over the overlay may read a whole spill.
    async fn with_overlay<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Overlay) -> io::Result<R> + Send + 'static,
    ) -> Result<R, Failure> {
        let overlay = Arc::clone(&self.overlay);
        blocking(move || work(&mut overlay.lock().expect("no holder of this lock panics")))
            .await
            .map_err(|error| {
                Failure::new(FailureKind::Transient, Side::Platform, "the spill folder failed")
                    .hint("look at the space and the rights of the worker's spill folder")
                    .caused_by(&error)
            })
    }

    /// What the reading covers by now.
    #[must_use]
    pub fn coverage(&self) -> Coverage {
        if self.reads_in_full() { Coverage::Full } else { Coverage::Changes }
    }

    /// The pages that count, in the order in which they were asked for.
    #[must_use]
    pub fn pages(&self) -> Vec<PageRef> {
        let mut pages = self.with_staged(|staged| {
            staged.pages.iter().map(|(_, page)| page.clone()).collect::<Vec<_>>()
        });
        pages.sort_by(|one, other| (one.sent_at, &one.path).cmp(&(other.sent_at, &other.path)));
        pages
    }

    /// What the pages cost.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.with_staged(|staged| {
            let mut cost = Cost::default();
            staged.pages.iter().for_each(|(head, _)| cost.add(head.cost));
            cost
        })
    }

    /// Whether the pages show anything that the committed snapshot does not: a row that came, went
    /// or differs in key, state, digest or change time. Not known of a full reading: yes.
    ///
    /// # Errors
    /// Those of the spill folder.
    pub async fn differs(&self) -> Result<bool, Failure> {
        if self.reads_in_full() {
            return Ok(true);
        }
        self.with_overlay(|overlay| {
            let mut differs = false;
            overlay.for_each(|_, standing| differs |= standing.differs())?;
            Ok(differs)
        })
        .await
    }

    /// Whether a page is durable after its creation was answered with *exists* or not clearly.
    async fn is_own(&self, named: &PageRef) -> Result<bool, Failure> {
        match page::find(&self.folder, &named.path).await? {
            Some(front) if front.page == *named => Ok(true),
            Some(_) => Err(Failure::new(
                FailureKind::Transient,
                Side::Platform,
                format!("another attempt staged {} in the meantime", named.path),
            )
            .hint("nothing: the next attempt goes on behind it")),
            None => Ok(false),
        }
    }
}

const PAGE_ENDING: &str = ".page";
/// Remembers over attempts that the reading covers everything.
const BEGAN_FULL: &str = "full";

#[async_trait]
impl PageWriter for ReadingSession<'_> {
    async fn staged(&self) -> Result<Vec<PageHead>, Failure> {
        let mut heads = self.with_staged(|staged| {
            staged.pages.iter().map(|(head, _)| head.clone()).collect::<Vec<_>>()
        });
        heads.sort_by_key(|head| head.sent_at);
        Ok(heads)
    }

    async fn stage(&self, page: Page) -> Result<(), Failure> {
        let path =
            format!("{}/{}", self.pages_folder, page_name(&page.head.window, page.head.number));
        let (page, encoded) = blocking(move || {
            let encoded = page::encode(path, &page);
            (page, encoded)
        })
        .await;
        let (object, named) = encoded.map_err(|error| {
            Failure::new(FailureKind::Rejected, Side::Source, error.to_string())
        })?;
        let known = self.with_staged(|staged| staged.pages.iter().any(|(_, page)| *page == named));
        if known {
            return Ok(());
        }
        let creation = self.folder.create(&named.path, object).await;
        if !matches!(creation, Ok(Creation::Created)) && !self.is_own(&named).await? {
            creation?;
            return Err(StoreError::Missing { path: named.path }.into());
        }
        let Page { head, rows, gone, body: _ } = page;
        self.take_in(Front { head, rows, gone, page: named }).await
    }
}

#[async_trait]
impl Mirror for ReadingSession<'_> {
    async fn row_count(&self) -> Result<u64, Failure> {
        let full = self.reads_in_full();
        let committed = self.committed.as_ref().filter(|_| !full).map_or(0, Snapshot::row_count);
        let (shown, covered) = self
            .with_overlay(move |overlay| overlay.counted(full, |all| tally(all, full, |_| true)))
            .await?;
        Ok((committed + shown).saturating_sub(covered))
    }

    async fn count_until(&self, until: i64) -> Result<u64, Failure> {
        let full = self.reads_in_full();
        let committed = match &self.committed {
            Some(committed) if !full => committed.count_until(until).await?,
            _ => 0,
        };
        let (shown, covered) = self
            .with_overlay(move |overlay| tally(overlay, full, |modified| modified <= until))
            .await?;
        Ok((committed + shown).saturating_sub(covered))
    }

    async fn keys_between(&self, after: i64, until: i64) -> Result<Vec<KeyTime>, Failure> {
        let full = self.reads_in_full();
        let committed = match &self.committed {
            Some(committed) if !full => committed.keys_between(after, until).await?,
            _ => Vec::new(),
        };
        self.with_overlay(move |overlay| {
            let keys: Vec<String> = committed.iter().map(|known| known.key.clone()).collect();
            let covered = overlay.get(&keys)?;
            let mut found: Vec<KeyTime> = committed
                .into_iter()
                .zip(covered)
                .filter_map(|(known, covered)| covered.is_none().then_some(known))
                .collect();
            overlay.for_each(|key, standing| {
                if let Some(row) = standing.row(full)
                    && row.modified > after
                    && row.modified <= until
                {
                    found.push(KeyTime { key: key.to_owned(), modified: row.modified });
                }
            })?;
            found.sort_unstable();
            Ok(found)
        })
        .await
    }

    async fn look_up(&self, keys: &[String]) -> Result<Vec<Option<MirrorRow>>, Failure> {
        let full = self.reads_in_full();
        let asked = keys.to_vec();
        let staged = self.with_overlay(move |overlay| overlay.get(&asked)).await?;
        let committed =
            if full { vec![None; keys.len()] } else { self.committed_rows(keys).await? };
        let rows = staged.into_iter().zip(committed);
        Ok(rows.map(|(staged, known)| staged.map_or(known, |staged| staged.row(full))).collect())
    }

    async fn look_up_committed(&self, keys: &[String]) -> Result<Vec<Option<MirrorRow>>, Failure> {
        self.committed_rows(keys).await
    }

    async fn begin_full(&self) -> Result<(), Failure> {
        let path = format!("{}/{BEGAN_FULL}", self.pages_folder);
        self.folder.create(&path, Bytes::new()).await?;
        self.full.store(true, Ordering::SeqCst);
        Ok(())
    }
}

/// Of the keys in the overlay: how many the mirror shows, and how many the snapshot does, counting
/// those with a change time that counts.
fn tally(overlay: &Overlay, full: bool, counts: impl Fn(i64) -> bool) -> io::Result<(u64, u64)> {
    let (mut shown, mut covered) = (0, 0);
    overlay.for_each(|_, standing| {
        let counted =
            |row: Option<MirrorRow>| u64::from(row.is_some_and(|row| counts(row.modified)));
        shown += counted(standing.row(full));
        if !full {
            covered += counted(standing.base());
        }
    })?;
    Ok((shown, covered))
}

/// The source chooses the window's name; whatever does not belong into a file's name is spelled
/// in hexadecimal.
fn page_name(window: &str, number: u32) -> String {
    use std::fmt::Write as _;
    let mut name = String::new();
    for byte in window.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'.' => name.push(char::from(byte)),
            _ => write!(name, "_{byte:02x}").expect("writing to a string cannot fail"),
        }
    }
    format!("{name}-{number:06}{PAGE_ENDING}")
}
