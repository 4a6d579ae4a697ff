//! What the InsForge server leaves in a database: its ledger, and what older steps of it have
//! otherwise than the newest. The facts are those of contract, schema §9.

use ingot_identity::SecretCipher;
use ingot_project::Project;
use sqlx::{PgConnection, query_as, query_scalar};

use super::{AdoptionError, Journal, payments, run};

/// From this step on its tables are in schemas; before, they were all in `public`.
const OLDEST: u32 = 18;

/// Its newest step that this build knows.
const NEWEST: u32 = 64;

/// Numbers that it gave to two steps each.
const TWICE: [u32; 2] = [33, 47];

/// The step that protects files of projects that have some.
const STORAGE_POLICIES: u32 = 36;

/// Columns of containers from before there was a second provider, and their names since then.
const SERVICES_BEFORE: [(&str, &str); 2] = [
    ("fly_app_id", "provider_app_id"),
    ("fly_machine_id", "provider_instance_id"),
];

/// Schemas of its that Ingot has no services for yet.
const UNSERVED: [&str; 6] = [
    "ai",
    "compute",
    "deployments",
    "memory",
    "payments",
    "schedules",
];

/// How far the InsForge server was.
#[derive(Debug)]
pub(super) struct Found {
    /// Number of its newest step.
    pub(super) step: u32,
    /// Name of it, as recorded.
    pub(super) name: String,
}

/// Reads its ledger, which must be a beginning of the steps that we know.
pub(super) async fn examine(connection: &mut PgConnection) -> Result<Found, AdoptionError> {
    let unfit = |text: String| Err(AdoptionError::Unfit(text));
    let (ours, theirs): (bool, bool) = query_as(
        "select pg_catalog.to_regclass('system.schema_steps') is not null,
                pg_catalog.to_regclass('system.migrations') is not null",
    )
    .fetch_one(&mut *connection)
    .await?;
    if ours {
        return unfit("the database has Ingot's schema already: use `ingot migrate up`".to_owned());
    }
    if !theirs {
        return unfit(
            "the database has no ledger system.migrations: the InsForge server did not make it, or \
             it is older than step 018; start its newest version on it once"
                .to_owned(),
        );
    }
    let names: Vec<String> = query_scalar("select name from system.migrations order by id")
        .fetch_all(connection)
        .await?;
    let numbers: Option<Vec<u32>> = names
        .iter()
        .map(|name| name.split_once('_')?.0.parse().ok())
        .collect();
    let (Some(numbers), Some(name)) = (numbers, names.last()) else {
        return unfit("the ledger system.migrations is empty or no list of steps".to_owned());
    };
    let Some(step) = numbers.iter().copied().max() else {
        return unfit("the ledger system.migrations is empty".to_owned());
    };
    if step > NEWEST {
        return unfit(format!(
            "the database is at {name}, and this build knows the InsForge server up to step \
             {NEWEST:03}: use a newer build of Ingot"
        ));
    }
    if step < OLDEST {
        return unfit(format!(
            "the database is at {name}; before step {OLDEST:03} its tables had other places: start a \
             newer InsForge server on it once"
        ));
    }
    let mut expected: Vec<u32> = (0..=step).chain(TWICE).filter(|it| *it <= step).collect();
    expected.sort_unstable();
    let mut numbers = numbers;
    numbers.sort_unstable();
    // The second of a pair may be what is missing.
    let without_last_twin = TWICE.contains(&step)
        && numbers.as_slice() == expected.get(..expected.len() - 1).unwrap_or_default();
    if numbers != expected && !without_last_twin {
        return unfit(format!(
            "the ledger system.migrations ends with {name} but steps before it are missing: let the \
             InsForge server finish its migrations first"
        ));
    }
    Ok(Found {
        step,
        name: name.clone(),
    })
}

/// Refuses a key that does not open the stored secrets: clients would find other keys.
pub(super) async fn check_key(
    connection: &mut PgConnection,
    project: &Project,
) -> Result<(), AdoptionError> {
    let stored: Option<String> = query_scalar(
        "select value_ciphertext from system.secrets where key = 'API_KEY' and is_active",
    )
    .fetch_optional(connection)
    .await?;
    let cipher = SecretCipher::new(project);
    match stored {
        Some(text) if cipher.decrypt(&text).is_err() => Err(AdoptionError::Unfit(
            "ENCRYPTION_KEY (or JWT_SECRET, where that is unset) does not open the stored secrets: \
             use the values that the InsForge server had"
                .to_owned(),
        )),
        _ => Ok(()),
    }
}

/// Brings what an older step has otherwise to where the newest has it, as far as Ingot uses it.
pub(super) async fn mend(
    connection: &mut PgConnection,
    step: u32,
    journal: &mut Journal,
) -> Result<(), AdoptionError> {
    rename(connection, "auth", "configs", "config", journal).await?;
    payments::mend(connection, step, journal).await?;
    for (old, new) in SERVICES_BEFORE {
        rename_column(connection, "compute.services", old, new, journal).await?;
    }
    forget_schedule_functions(connection).await?;
    let doubles: Vec<String> = query_scalar(
        "with doubled as (
             select id, row_number() over (partition by key order by is_active desc,
                 updated_at desc nulls last, id) as place
             from system.secrets
         )
         update system.secrets as s
         set key = s.key || '_DUP_' || s.id, is_active = false, expires_at = now()
         from doubled as d
         where d.id = s.id and d.place > 1
         returning s.key",
    )
    .fetch_all(&mut *connection)
    .await?;
    for key in doubles {
        journal.did(format!(
            "a second secret of one name was set aside as {key}"
        ));
    }
    if step < STORAGE_POLICIES {
        protect_files(connection, journal).await?;
    }
    Ok(())
}

/// Renames a table that has only its old name. Returns whether it did.
pub(super) async fn rename(
    connection: &mut PgConnection,
    schema: &str,
    old: &str,
    new: &str,
    journal: &mut Journal,
) -> Result<bool, AdoptionError> {
    let has_old_name: bool = query_scalar(
        "select pg_catalog.to_regclass($1 || '.' || $2) is not null
            and pg_catalog.to_regclass($1 || '.' || $3) is null",
    )
    .bind(schema)
    .bind(old)
    .bind(new)
    .fetch_one(&mut *connection)
    .await?;
    if has_old_name {
        let sql = format!("alter table {schema}.{old} rename to {new}");
        run(connection, &sql, format!("renaming {schema}.{old}")).await?;
        journal.did(format!("{schema}.{old} was renamed to {schema}.{new}"));
    }
    Ok(has_old_name)
}

/// Renames a column that has only its old name. Names are made of letters and underscores.
pub(super) async fn rename_column(
    connection: &mut PgConnection,
    table: &str,
    old: &str,
    new: &str,
    journal: &mut Journal,
) -> Result<(), AdoptionError> {
    let has_old_name: bool = query_scalar(
        "select coalesce(array_agg(attname::text) filter (where attname in ($2, $3)) = array[$2], false)
         from pg_catalog.pg_attribute
         where attrelid = pg_catalog.to_regclass($1) and not attisdropped",
    )
    .bind(table)
    .bind(old)
    .bind(new)
    .fetch_one(&mut *connection)
    .await?;
    if has_old_name {
        let sql = format!("alter table {table} rename column {old} to {new}");
        run(connection, &sql, format!("renaming {table}.{old}")).await?;
        journal.did(format!("{table}.{old} was renamed to {new}"));
    }
    Ok(())
}

/// Their parameters changed over its steps. Jobs of `pg_cron` call them by text, so nothing depends
/// on the old ones.
async fn forget_schedule_functions(connection: &mut PgConnection) -> Result<(), AdoptionError> {
    let functions: Vec<String> = query_scalar(
        "select p.oid::pg_catalog.regprocedure::text
         from pg_catalog.pg_proc as p
         join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
         where n.nspname = 'schedules'",
    )
    .fetch_all(&mut *connection)
    .await?;
    for function in functions {
        let sql = format!("drop routine {function}");
        run(connection, &sql, format!("making {function} anew")).await?;
    }
    Ok(())
}

/// What the step did for projects that had files: everybody keeps his own.
async fn protect_files(
    connection: &mut PgConnection,
    journal: &mut Journal,
) -> Result<(), AdoptionError> {
    let (used, already): (bool, bool) = query_as(
        "select exists (select from storage.buckets),
                (select relrowsecurity from pg_catalog.pg_class
                 where oid = 'storage.objects'::pg_catalog.regclass)",
    )
    .fetch_one(&mut *connection)
    .await?;
    if !used || already {
        return Ok(());
    }
    let own = "uploaded_by::text = nullif(nullif(pg_catalog.current_setting(\
        'request.jwt.claims', true), '')::jsonb ->> 'sub', '')";
    let policies = [
        ("select", format!("using ({own})")),
        ("insert", format!("with check ({own})")),
        ("update", format!("using ({own}) with check ({own})")),
        ("delete", format!("using ({own})")),
    ]
    .map(|(command, clauses)| {
        format!(
            "create policy storage_objects_owner_{command} on storage.objects for {command}
             to authenticated {clauses};"
        )
    });
    let protect = "alter table storage.objects enable row level security;";
    let sql = format!("{protect}{}", policies.concat());
    run(connection, &sql, "protecting storage.objects").await?;
    journal.did("storage.objects got row level security: signed-in users reach their own files");
    Ok(())
}

/// Names what stays in the database without a service of Ingot's behind it.
pub(super) async fn note_leftovers(
    connection: &mut PgConnection,
    journal: &mut Journal,
) -> Result<(), AdoptionError> {
    let schemas: Vec<String> = query_scalar(
        "select nspname::text from pg_catalog.pg_namespace
         where nspname = any ($1) order by nspname",
    )
    .bind(UNSERVED)
    .fetch_all(&mut *connection)
    .await?;
    if !schemas.is_empty() {
        journal.remark(format!(
            "Ingot has no services for the schemas {}: their rows stay, and nothing works with them",
            schemas.join(", ")
        ));
    }
    note_jobs(connection, journal).await?;
    let files: i64 = query_scalar("select count(*) from storage.objects")
        .fetch_one(connection)
        .await?;
    if files > 0 {
        journal.remark(format!(
            "storage.objects names {files} files; their contents are not in the database"
        ));
    }
    Ok(())
}

/// `pg_cron` runs a job as the role that made it, which was a superuser. Those of the platform are
/// the services' from the first [`ingot_schema::prepare_logins`] on.
async fn note_jobs(
    connection: &mut PgConnection,
    journal: &mut Journal,
) -> Result<(), AdoptionError> {
    let there: bool = query_scalar("select pg_catalog.to_regclass('cron.job') is not null")
        .fetch_one(&mut *connection)
        .await?;
    if !there {
        return Ok(());
    }
    let (scheduled, others): (i64, i64) = query_as(
        "select count(*) filter (where s.scheduled), count(*) filter (where not s.scheduled)
         from cron.job as c, lateral (
             select exists (select from schedules.jobs as j where j.cron_job_id = c.jobid)
         ) as s (scheduled)",
    )
    .fetch_one(connection)
    .await?;
    if scheduled > 0 {
        journal.remark(format!(
            "{scheduled} jobs of pg_cron are those of schedules.jobs: from now on they run as the \
             service's login"
        ));
    }
    if others > 0 {
        journal.remark(format!(
            "{others} other jobs of pg_cron go on as the role that made them, mostly a superuser: \
             look at `select * from cron.job`"
        ));
    }
    Ok(())
}
