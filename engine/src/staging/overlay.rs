//! The staged rows by key: in memory while they are few, on local disk when they are many.

use std::{collections::HashMap, io, path::PathBuf};

use foldhash::fast::RandomState;

use super::{
    spill::{PARTITIONS, Spill},
    standing::Standing,
};

/// What the staged pages say of each key.
#[derive(Debug)]
pub(super) struct Overlay {
    place: Place,
    /// How many rows were counted since the last addition, and whether in full: a reading asks for
    /// it several times in a row, and the answer may take a pass over the disk.
    counted: Option<(bool, (u64, u64))>,
    spill_folder: PathBuf,
    keys_in_memory: usize,
}

#[derive(Debug)]
enum Place {
    Memory(HashMap<Box<str>, Standing, RandomState>),
    Disk(Spill),
}

impl Overlay {
    pub(super) fn new(spill_folder: PathBuf, keys_in_memory: usize) -> Self {
        Self {
            place: Place::Memory(HashMap::default()),
            counted: None,
            spill_folder,
            keys_in_memory,
        }
    }

    /// Takes in what a page says of a key.
    pub(super) fn add(&mut self, key: &str, standing: Standing) -> io::Result<()> {
        self.counted = None;
        match &mut self.place {
            Place::Disk(spill) => spill.add(key, &standing),
            Place::Memory(keys) => {
                match keys.get_mut(key) {
                    Some(known) => known.merge(standing),
                    None => drop(keys.insert(key.into(), standing)),
                }
                if keys.len() > self.keys_in_memory { self.move_to_disk() } else { Ok(()) }
            }
        }
    }

    fn move_to_disk(&mut self) -> io::Result<()> {
        let Place::Memory(keys) = &self.place else { return Ok(()) };
        std::fs::create_dir_all(&self.spill_folder)?;
        let mut spill = Spill::create(&self.spill_folder)?;
        for (key, standing) in keys {
            spill.add(key, standing)?;
        }
        self.place = Place::Disk(spill);
        Ok(())
    }

    /// How keys stand, in the order asked; `None` for one that no page shows.
    pub(super) fn get(&self, keys: &[String]) -> io::Result<Vec<Option<Standing>>> {
        let spill = match &self.place {
            Place::Memory(known) => {
                return Ok(keys.iter().map(|key| known.get(key.as_str()).copied()).collect());
            }
            Place::Disk(spill) => spill,
        };
        let mut asked: Vec<(usize, usize)> =
            keys.iter().enumerate().map(|(index, key)| (spill.partition_of(key), index)).collect();
        asked.sort_unstable();
        let (mut found, mut bytes) = (vec![None; keys.len()], Vec::new());
        for group in asked.chunk_by(|(one, _), (other, _)| one == other) {
            let Some((partition, _)) = group.first() else { continue };
            let named: Vec<&str> = group
                .iter()
                .filter_map(|(_, index)| keys.get(*index))
                .map(String::as_str)
                .collect();
            let known = spill.find(*partition, &mut bytes, &named)?;
            for ((_, index), known) in group.iter().zip(known) {
                if let Some(place) = found.get_mut(*index) {
                    *place = known;
                }
            }
        }
        Ok(found)
    }

    /// What `count` counts, or what it counted before if nothing came in since.
    pub(super) fn counted(
        &mut self,
        full: bool,
        count: impl FnOnce(&Self) -> io::Result<(u64, u64)>,
    ) -> io::Result<(u64, u64)> {
        if let Some((known, counts)) = self.counted
            && known == full
        {
            return Ok(counts);
        }
        let counts = count(self)?;
        self.counted = Some((full, counts));
        Ok(counts)
    }

    /// Shows every key once.
    pub(super) fn for_each(&self, mut show: impl FnMut(&str, &Standing)) -> io::Result<()> {
        match &self.place {
            Place::Memory(keys) => keys.iter().for_each(|(key, standing)| show(key, standing)),
            Place::Disk(spill) => {
                let mut bytes = Vec::new();
                for partition in 0..PARTITIONS {
                    spill.for_each(partition, &mut bytes, &mut show)?;
                }
            }
        }
        Ok(())
    }
}
