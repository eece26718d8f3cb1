//! Reading state: rows by key, lists, and the working set of rules.

use std::collections::BTreeSet;

use evidence_domain::{
    Guarded, Needs, Record, Row as StateRow, World,
    ids::{CaseId, ClaimantId, OrgId},
    world::policy_key,
};

use crate::{
    Store, StoreError,
    db::{Row, Value, in_list},
    keys::Source,
};

/// Bind values in one query.
const CHUNK: usize = 500;
/// Rows in one page, at most.
const PAGE_LIMIT: usize = 1_000;
/// How often the rows that rows follow are followed.
const ROUNDS: usize = 8;

/// Whose rows to list.
#[derive(Debug, Clone)]
pub enum By {
    Party(OrgId),
    Claimant(ClaimantId),
    Case(CaseId),
    /// What belongs to this row.
    Link(String),
    All,
}

/// Which page: how many rows, and the token of the page before.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// 0: as many as a page holds.
    pub size: usize,
    pub token: String,
}

#[derive(Debug)]
pub struct Listed<R> {
    pub rows: Vec<Guarded<R>>,
    /// The token of the next page, if there is one.
    pub next: Option<String>,
}

impl Store {
    pub async fn get<R: StateRow>(&self, key: &str) -> Result<Option<Guarded<R>>, StoreError> {
        Ok(self.get_many(&[key.to_owned()]).await?.pop())
    }

    /// The rows of these keys that are there, of this kind, in the order of the keys.
    pub async fn get_many<R: StateRow>(
        &self,
        keys: &[String],
    ) -> Result<Vec<Guarded<R>>, StoreError> {
        let unique: BTreeSet<String> = keys.iter().cloned().collect();
        let mut rows = records(&mut Source::Pool(self), "id", &unique).await?;
        rows.sort_by_cached_key(|row| {
            let key = row.key();
            keys.iter().position(|each| *each == key)
        });
        Ok(rows
            .into_iter()
            .filter_map(R::owned)
            .map(Guarded::new)
            .collect())
    }

    /// A page of rows, in the order in which they were made.
    pub async fn list<R: StateRow>(&self, by: By, page: Page) -> Result<Listed<R>, StoreError> {
        let size = if page.size == 0 {
            PAGE_LIMIT
        } else {
            page.size.min(PAGE_LIMIT)
        };
        // A token is "entry.id" of the last row; an unreadable one lists nothing further.
        let (entry, id) = match page.token.split_once('.') {
            Some((entry, id)) => (entry.parse().unwrap_or(i64::MAX), id.to_owned()),
            None if page.token.is_empty() => (-1, String::new()),
            None => (i64::MAX, String::new()),
        };
        let (from, filter, value) = match by {
            By::Party(org) => (
                "party p JOIN state s ON s.id = p.id",
                "p.org_id = ? AND p.kind = ?",
                Some(org.to_string()),
            ),
            By::Claimant(id) => (
                "state s",
                "s.claimant_id = ? AND s.kind = ?",
                Some(id.to_string()),
            ),
            By::Case(id) => (
                "state s",
                "s.case_id = ? AND s.kind = ?",
                Some(id.to_string()),
            ),
            By::Link(key) => ("state s", "s.link = ? AND s.kind = ?", Some(key)),
            By::All => ("state s", "s.kind = ?", None),
        };
        let sql = format!(
            "SELECT s.kind, s.body, s.entry, s.id FROM {from} WHERE {filter} \
             AND (s.entry > ? OR (s.entry = ? AND s.id > ?)) ORDER BY s.entry, s.id LIMIT ?"
        );
        let mut args: Vec<Value> = value.into_iter().map(Value::Text).collect();
        let limit = i64::try_from(size + 1).unwrap_or(i64::MAX);
        args.extend([
            R::KIND.into(),
            entry.into(),
            entry.into(),
            Value::Text(id),
            limit.into(),
        ]);
        let found = self.db().fetch(sql, &args).await?;
        let next = found.get(size).and(found.get(size.saturating_sub(1)));
        let next = next
            .map(|row| Ok::<_, StoreError>(format!("{}.{}", row.int(2)?, row.text(3)?)))
            .transpose()?;
        let rows = found
            .iter()
            .take(size)
            .map(record)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Listed {
            rows: rows
                .into_iter()
                .filter_map(R::owned)
                .map(Guarded::new)
                .collect(),
            next,
        })
    }

    /// A snapshot of the rows that a decision needs.
    pub async fn world(&self, needs: Needs) -> Result<World, StoreError> {
        let mut tx = self.db().read().await?;
        let mut world = World::default();
        load(&mut Source::Read(&mut tx), &mut world, needs).await?;
        Ok(world)
    }

    /// Every state row there is, for fsck and the invariant checker.
    pub async fn every_record(&self) -> Result<Vec<Record>, StoreError> {
        let rows = self
            .db()
            .fetch("SELECT kind, body FROM state ORDER BY id", &[])
            .await?;
        rows.iter().map(record).collect()
    }
}

/// Loads what is needed and what it follows, in a number of queries that does not depend on how
/// much is needed.
pub(crate) async fn load(
    source: &mut Source<'_>,
    world: &mut World,
    needs: Needs,
) -> Result<(), StoreError> {
    let mut absent = BTreeSet::new();
    let mut wanted = needs.keys;
    wanted.extend([policy_key("purposes"), policy_key("clocks")]);
    let mut claimants: BTreeSet<String> = needs.claimants.iter().map(ToString::to_string).collect();
    let mut whole = BTreeSet::new();
    for _ in 0..ROUNDS {
        wanted.retain(|key| !world.contains(key) && !absent.contains(key));
        let mut found = records(source, "id", &wanted).await?;
        absent.append(&mut wanted);
        if !claimants.is_empty() {
            found.extend(records(source, "claimant_id", &claimants).await?);
            whole.append(&mut claimants);
        }
        for row in found {
            wanted.extend(row.follows());
            if needs.owners.contains(&row.key()) {
                // The row itself is among its claimant's, and is met again.
                claimants.extend(
                    row.index()
                        .claimant
                        .filter(|claimant| !whole.contains(claimant)),
                );
            }
            world.load(row);
        }
        if wanted
            .iter()
            .all(|key| world.contains(key) || absent.contains(key))
            && claimants.is_empty()
        {
            return Ok(());
        }
    }
    Err(StoreError::Corrupt(format!(
        "rows follow one another over {ROUNDS} rounds"
    )))
}

async fn records(
    source: &mut Source<'_>,
    column: &'static str,
    values: &BTreeSet<String>,
) -> Result<Vec<Record>, StoreError> {
    let values: Vec<&String> = values.iter().collect();
    let mut found = Vec::with_capacity(values.len());
    for chunk in values.chunks(CHUNK) {
        let sql = format!(
            "SELECT kind, body FROM state WHERE {column} IN {}",
            in_list(chunk.len())
        );
        let args: Vec<Value> = chunk
            .iter()
            .map(|value| Value::Text((*value).clone()))
            .collect();
        for row in source.fetch(sql, &args).await? {
            found.push(record(&row)?);
        }
    }
    Ok(found)
}

fn record(row: &Row) -> Result<Record, StoreError> {
    Ok(Record::from_json(row.text(0)?, row.text(1)?)?)
}
