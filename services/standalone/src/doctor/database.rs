//! A project's database: reachable, current, with the right logins, the right time and a relay.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ingot_config::{Environment, Settings as _};
use ingot_project::{DatabaseSettings, LoginRole, Project};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, query_as, query_scalar};
use tokio::time::timeout;

use super::Report;

const PATIENCE: Duration = Duration::from_secs(10);

/// The oldest PostgreSQL that tests run on.
const OLDEST: i32 = 15;

/// Tokens and limits bear no more than this between two machines.
const MOST_SKEW: f64 = 5.0;

/// Messages that wait for longer are late.
const MOST_LAG: f64 = 10.0;

/// Share of `max_connections` from which on there is little left.
const CROWDED: f64 = 0.9;

pub(super) async fn examine(project: &Project, environment: &Environment, report: &mut Report) {
    examine_owner(project, environment, report).await;
    let options = project.connect_options(LoginRole::Service);
    let Some(mut connection) = connect(project, options, LoginRole::Service, report).await else {
        return;
    };
    let examined = async {
        version_and_room(&mut connection, report).await?;
        clock(&mut connection, report).await?;
        installed_extensions(&mut connection, report).await?;
        logins(project, &mut connection, report).await?;
        if migrations(&mut connection, report).await {
            extensions(&mut connection, report).await?;
            relay(&mut connection, report).await?;
        }
        Ok::<_, sqlx::Error>(())
    };
    if let Err(error) = examined.await {
        report.broken("database", error.to_string(), "its log may say more");
    }
    connection.close().await.ok();
    for role in [LoginRole::Authenticator, LoginRole::Sql] {
        let options = project.connect_options(role);
        if let Some(connection) = connect(project, options, role, report).await {
            connection.close().await.ok();
        }
    }
}

/// Only where the settings have the owner's password: at the migration service.
async fn examine_owner(project: &Project, environment: &Environment, report: &mut Report) {
    let Ok(settings) = DatabaseSettings::load(environment) else {
        // Told with the project's settings.
        return;
    };
    let Some(password) = &settings.owner_password else {
        return;
    };
    let options = project
        .database
        .owner_options(&settings.owner, Some(password));
    let connecting = options.connect();
    let Ok(Ok(mut owner)) = timeout(PATIENCE, connecting).await else {
        return report.broken(
            "owner",
            format!("{} cannot connect", settings.owner),
            "correct POSTGRES_USER and POSTGRES_PASSWORD; the database must exist or be allowed to \
             be made",
        );
    };
    let able: Result<bool, _> = query_scalar(
        "select rolsuper or rolcreaterole from pg_catalog.pg_roles where rolname = current_user",
    )
    .fetch_one(&mut owner)
    .await;
    match able {
        Ok(true) => report.fine("owner", format!("{} may make roles", settings.owner)),
        _ => report.broken(
            "owner",
            format!("{} may not make roles", settings.owner),
            format!("as a superuser: alter role {} createrole", settings.owner),
        ),
    }
    owner.close().await.ok();
}

async fn connect(
    project: &Project,
    options: PgConnectOptions,
    role: LoginRole,
    report: &mut Report,
) -> Option<PgConnection> {
    let (host, port) = (&project.database.host, project.database.port);
    let login = role.name(&project.id);
    let error = match timeout(PATIENCE, options.connect()).await {
        Ok(Ok(connection)) => return Some(connection),
        Ok(Err(error)) => error,
        Err(_late) => sqlx::Error::PoolTimedOut,
    };
    let code = error
        .as_database_error()
        .and_then(|error| Some(error.code()?.into_owned()));
    let (text, fix) = match code.as_deref() {
        Some("28P01" | "28000") => (
            format!("PostgreSQL at {host}:{port} refuses {login}"),
            "run `ingot-migration --once`; if it has run, ENCRYPTION_KEY (or JWT_SECRET) is not the \
             one that it had, for the logins' passwords come from it",
        ),
        Some("3D000") => (
            format!("there is no database {}", project.database.name),
            "run `ingot-migration --once`, or correct POSTGRES_DB",
        ),
        Some("53300") => (
            "PostgreSQL has no connection left".to_owned(),
            "raise its max_connections, or lower INGOT_POOL_MAX_CONNECTIONS",
        ),
        Some(_) => (format!("{login}: {error}"), "PostgreSQL's log may say more"),
        None => (
            format!("PostgreSQL at {host}:{port}: {error}"),
            "start it, or correct POSTGRES_HOST, POSTGRES_PORT and POSTGRES_SSLMODE; in Kubernetes \
             look at the network policies",
        ),
    };
    report.broken("database", text, fix);
    None
}

async fn version_and_room(
    connection: &mut PgConnection,
    report: &mut Report,
) -> Result<(), sqlx::Error> {
    let (number, version, most, open): (i32, String, i32, i64) = query_as(
        "select current_setting('server_version_num')::int, current_setting('server_version'),
            current_setting('max_connections')::int,
            (select sum(numbackends) from pg_catalog.pg_stat_database)::bigint",
    )
    .fetch_one(connection)
    .await?;
    let text = format!("PostgreSQL {version}, {open} of {most} connections");
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    let crowded = open as f64 > f64::from(most) * CROWDED;
    if number / 10_000 < OLDEST {
        report.broken("database", text, format!("upgrade to {OLDEST} or newer"));
    } else if crowded {
        report.doubtful(
            "database",
            text,
            "raise max_connections, or lower the pools",
        );
    } else {
        report.fine("database", text);
    }
    Ok(())
}

async fn clock(connection: &mut PgConnection, report: &mut Report) -> Result<(), sqlx::Error> {
    let before = seconds_now();
    let theirs: f64 = query_scalar("select extract(epoch from clock_timestamp())::float8")
        .fetch_one(connection)
        .await?;
    let skew = theirs - f64::midpoint(before, seconds_now());
    let text = format!("{skew:+.3} s between this machine and PostgreSQL's");
    if skew.abs() > MOST_SKEW {
        report.broken(
            "clock",
            text,
            "set both by NTP: tokens are refused or live too long",
        );
    } else {
        report.fine("clock", text);
    }
    Ok(())
}

fn seconds_now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}

/// They stop working when the server was upgraded without them.
async fn installed_extensions(
    connection: &mut PgConnection,
    report: &mut Report,
) -> Result<(), sqlx::Error> {
    let unlike: Vec<(String, String, Option<String>)> = query_as(
        "select e.extname::text, e.extversion, a.default_version
         from pg_catalog.pg_extension as e
         left join pg_catalog.pg_available_extensions as a on a.name = e.extname
         where a.default_version is distinct from e.extversion
         order by e.extname",
    )
    .fetch_all(connection)
    .await?;
    for (name, version, offered) in unlike {
        match offered {
            None => report.broken(
                "extensions",
                format!("{name} is installed, and the server does not have it"),
                "install its package on the machine of PostgreSQL",
            ),
            Some(offered) => report.doubtful(
                "extensions",
                format!("{name} is installed as {version}, and the server has another version"),
                format!("alter extension \"{name}\" update to '{offered}'"),
            ),
        }
    }
    Ok(())
}

/// None of them may be able to pass by what holds projects apart.
async fn logins(
    project: &Project,
    connection: &mut PgConnection,
    report: &mut Report,
) -> Result<(), sqlx::Error> {
    const FIX: &str = "run `ingot-migration --once`, which makes the roles as they should be";
    let mut sound = true;
    for role in LoginRole::ALL {
        let name = role.name(&project.id);
        let powers: Option<bool> = query_scalar(
            "select rolsuper or rolcreaterole or rolcreatedb or rolbypassrls or rolreplication
            from pg_catalog.pg_roles where rolname = $1",
        )
        .bind(&name)
        .fetch_optional(&mut *connection)
        .await?;
        match powers {
            Some(false) => {}
            Some(true) => {
                sound = false;
                let text = format!("{name} has powers that no login of a service may have");
                let fix = format!(
                    "as a superuser: alter role {name} nosuperuser nocreaterole nocreatedb \
                     nobypassrls noreplication"
                );
                report.broken("logins", text, fix);
            }
            None => {
                sound = false;
                report.broken("logins", format!("there is no {name}"), FIX);
            }
        }
    }
    let authenticator = LoginRole::Authenticator.name(&project.id);
    for group in ["anon", "authenticated", "project_admin"] {
        let member: Option<bool> = query_scalar(
            "select pg_catalog.pg_has_role(a.oid, g.oid, 'member')
            from pg_catalog.pg_roles as a, pg_catalog.pg_roles as g
            where a.rolname = $1 and g.rolname = $2",
        )
        .bind(&authenticator)
        .bind(group)
        .fetch_optional(&mut *connection)
        .await?;
        if member != Some(true) {
            sound = false;
            report.broken(
                "logins",
                format!("{authenticator} may not become {group}"),
                FIX,
            );
        }
    }
    if sound {
        report.fine(
            "logins",
            "as they should be, none with more power than it needs",
        );
    }
    Ok(())
}

/// Returns whether the schema is there.
async fn migrations(connection: &mut PgConnection, report: &mut Report) -> bool {
    match ingot_schema::status(connection).await {
        Ok(status) if status.pending.is_empty() => {
            let step = ingot_schema::latest_version();
            report.fine("migrations", format!("the schema is at step {step}"));
            true
        }
        Ok(status) => {
            let behind = status.pending.len();
            report.broken(
                "migrations",
                format!("the schema lacks {behind} steps of this version"),
                "run `ingot-migration --once`; in Kubernetes look at the job ingot-migrate",
            );
            false
        }
        Err(error) => {
            report.broken(
                "migrations",
                error.to_string(),
                "docs/kubernetes.md, Rollouts",
            );
            false
        }
    }
}

/// Nothing is wrong without them: the schema says what needs each.
async fn extensions(connection: &mut PgConnection, report: &mut Report) -> Result<(), sqlx::Error> {
    let missing: Vec<String> = query_scalar(
        "select name from unnest(array['vector', 'pg_cron', 'http']) as name
        where system.extension_schema(name) is null",
    )
    .fetch_all(connection)
    .await?;
    report.fine(
        "extensions",
        if missing.is_empty() {
            "all that the schema can use are there".to_owned()
        } else {
            let missing = missing.join(", ");
            format!("without {missing}; docs/database.md, Extensions, says what needs them")
        },
    );
    Ok(())
}

async fn relay(connection: &mut PgConnection, report: &mut Report) -> Result<(), sqlx::Error> {
    let (waiting, age): (i64, Option<f64>) = query_as(
        "select count(*), extract(epoch from now() - min(m.created_at))::float8
        from realtime.messages as m, realtime.relay as r
        where m.xid >= pg_snapshot_xmin(r.delivered)
            and not pg_visible_in_snapshot(m.xid, r.delivered)
            and pg_visible_in_snapshot(m.xid, pg_current_snapshot())",
    )
    .fetch_one(&mut *connection)
    .await?;
    let active: bool = query_scalar(
        "select exists (
            select from pg_catalog.pg_locks as l
            join pg_catalog.pg_stat_activity as a on a.pid = l.pid and a.usename = session_user
            where l.locktype = 'advisory' and l.objsubid = 2 and l.granted and l.classid = $1::oid
                and l.database =
                    (select oid from pg_catalog.pg_database where datname = current_database())
        )",
    )
    .bind(ingot_listen_relay::LOCK)
    .fetch_one(connection)
    .await?;
    let late = age.filter(|age| *age > MOST_LAG);
    match (active, late) {
        (false, _) => report.broken(
            "relay",
            format!("no relay is active, {waiting} messages wait"),
            "start ingot-listen-relay; if one runs, its /readyz says what it waits for",
        ),
        (true, Some(age)) => report.broken(
            "relay",
            format!("{waiting} messages wait, the first for {age:.0} s"),
            "docs/operations.md, IngotRelayBehind",
        ),
        (true, None) => report.fine("relay", format!("active, {waiting} messages wait")),
    }
    Ok(())
}
