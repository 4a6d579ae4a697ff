//! The files that both sides take: the same rows as dumps and as CSV.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// Bytes of a row in the files, about.
const ROW: usize = 100;

/// Rows of one `INSERT` of the dump, as `pg_dump --rows-per-insert` writes them.
const ROWS_PER_INSERT: usize = 100;

const AT: &str = "2026-01-31 09:05:00.123456+00";

pub(super) struct Files {
    /// As `pg_dump` writes it.
    pub(super) copy: PathBuf,
    /// As `pg_dump --rows-per-insert` does.
    pub(super) inserts: PathBuf,
    pub(super) csv: PathBuf,
}

impl Files {
    pub(super) fn write(folder: &Path, megabytes: usize) -> anyhow::Result<Self> {
        let files = Self {
            copy: folder.join("copy.sql"),
            inserts: folder.join("inserts.sql"),
            csv: folder.join("rows.csv"),
        };
        let create = |path| anyhow::Ok(BufWriter::new(File::create(path)?));
        let rows = megabytes * 1_000_000 / ROW;
        let (mut copy, mut inserts) = (create(&files.copy)?, create(&files.inserts)?);
        let mut csv = create(&files.csv)?;
        writeln!(
            copy,
            "SET statement_timeout = 0;\nSET client_encoding = 'UTF8';\n\
             COPY public.bench_rows (id, name, amount, at, note) FROM stdin;"
        )?;
        writeln!(csv, "id,name,amount,at,note")?;
        for id in 0..rows {
            let amount = format!("{}.{:02}", id % 100_000, id % 100);
            let note = format!("row {id}: it's a note; with some text");
            let quoted = note.replace('\'', "''");
            if id % ROWS_PER_INSERT == 0 {
                writeln!(inserts, "INSERT INTO public.bench_rows VALUES")?;
            }
            let last = (id + 1) % ROWS_PER_INSERT == 0 || id + 1 == rows;
            let tail = if last { ";" } else { "," };
            writeln!(
                inserts,
                "({id}, 'name of {id}', {amount}, '{AT}', '{quoted}'){tail}"
            )?;
            writeln!(copy, "{id}\tname of {id}\t{amount}\t{AT}\t{note}")?;
            writeln!(csv, "{id},name of {id},{amount},{AT},{note}")?;
        }
        writeln!(copy, "\\.")?;
        copy.flush()?;
        inserts.flush()?;
        csv.flush()?;
        Ok(files)
    }
}
