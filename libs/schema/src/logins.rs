//! The project's login roles: the only roles that services connect as.

use ingot_project::{LoginRole, Project};
use sqlx::{AssertSqlSafe, Connection, PgConnection, query, query_scalar, raw_sql};

use crate::database::{is_duplicate, quote_identifier};
use crate::{LOCK_WAIT, RunnerLock, SchemaError};

/// What a login role may become, and the settings of its sessions.
struct Login {
    role: LoginRole,
    /// Has the rights of its groups at once; otherwise only after `set role`.
    inherits: bool,
    groups: &'static [&'static str],
    settings: &'static [(&'static str, &'static str)],
    /// Most connections at a time, over all replicas of all services; `-1` is no limit.
    connections: i32,
    /// Disk that a session may take for sorts and temporary tables.
    temporary_files: &'static str,
}

/// A client that died in the middle, or forgot to end its transaction, must not hold locks; and a
/// query whose client is gone is cancelled.
const HYGIENE: &[(&str, &str)] = &[
    ("idle_in_transaction_session_timeout", "60s"),
    ("client_connection_check_interval", "10s"),
    ("tcp_keepalives_idle", "60"),
];

const LOGINS: [Login; 3] = [
    Login {
        role: LoginRole::Service,
        inherits: true,
        groups: &["ingot_service"],
        settings: &[
            ("statement_timeout", "60s"),
            // The services' SQL never resolves to a function or operator of the project.
            ("search_path", "pg_catalog, pg_temp"),
        ],
        connections: -1,
        temporary_files: "2GB",
    },
    Login {
        role: LoginRole::Authenticator,
        inherits: false,
        groups: &["anon", "authenticated", "project_admin"],
        settings: &[("statement_timeout", "30s")],
        connections: -1,
        temporary_files: "2GB",
    },
    Login {
        role: LoginRole::Sql,
        inherits: false,
        groups: &["project_admin"],
        settings: &[("statement_timeout", "30s")],
        connections: 80,
        temporary_files: "8GB",
    },
];

/// Creates the project's three login roles or brings them up to date: derived passwords, group
/// memberships, session settings. Closes the current database to everybody but them and its
/// owner, and notes the project in it. To be called after [`crate::migrate`], as the owner;
/// calling it again changes nothing. Grants on the database are made here and not by a step:
/// neither a dump nor a copy of a template carries them.
///
/// # Errors
/// The database belongs to another project already, the owner may not create roles, or another
/// runner held the lock longer than [`LOCK_WAIT`].
pub async fn prepare_logins(
    owner: &mut PgConnection,
    project: &Project,
) -> Result<(), SchemaError> {
    let lock = RunnerLock::acquire(owner, LOCK_WAIT).await?;
    let prepared = prepare(lock.connection, project).await;
    let released = lock.release().await;
    prepared?;
    released
}

async fn prepare(owner: &mut PgConnection, project: &Project) -> Result<(), SchemaError> {
    for login in &LOGINS {
        create(owner, &login.role.name(&project.id)).await?;
    }
    let mut transaction = owner.begin().await?;
    claim_database(&mut transaction, project).await?;
    let database = restrict_database(&mut transaction).await?;
    for login in &LOGINS {
        let role = quote_identifier(&login.role.name(&project.id));
        set_attributes(&mut transaction, project, login, &role).await?;
        set_groups(&mut transaction, project, login, &role).await?;
        write_down(&mut transaction, project, login).await?;
        run(
            &mut transaction,
            format!("grant connect on database {database} to {role}"),
        )
        .await?;
    }
    query(
        "select system.sync_postgrest_exposed_schemas(), system.note_platform_shape(),
             system.use_extensions()",
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(())
}

/// Outside of the transaction, so that losing a race does not abort it.
async fn create(owner: &mut PgConnection, role: &str) -> Result<(), SchemaError> {
    let exists: bool =
        query_scalar("select exists (select from pg_catalog.pg_roles where rolname = $1)")
            .bind(role)
            .fetch_one(&mut *owner)
            .await?;
    if exists {
        return Ok(());
    }
    let create = format!("create role {}", quote_identifier(role));
    match query(AssertSqlSafe(create)).execute(owner).await {
        Err(error) if !is_duplicate(&error) => Err(error.into()),
        _ => Ok(()),
    }
}

async fn claim_database(owner: &mut PgConnection, project: &Project) -> Result<(), SchemaError> {
    let found: String = query_scalar(
        "update system.metadata set project = coalesce(project, $1) returning project",
    )
    .bind(project.id.as_str())
    .fetch_one(owner)
    .await?;
    if found == project.id.as_str() {
        return Ok(());
    }
    Err(SchemaError::OtherProject {
        found,
        wanted: project.id.clone(),
    })
}

/// Takes the current database from PUBLIC and returns its quoted name. Administrators create
/// schemas of their own, and SQL functions of every role may use temporary tables.
async fn restrict_database(owner: &mut PgConnection) -> Result<String, SchemaError> {
    let database: String = query_scalar("select current_database()::text")
        .fetch_one(&mut *owner)
        .await?;
    let database = quote_identifier(&database);
    for (verb, rest) in [
        ("revoke connect, temporary on database", "from public"),
        ("grant create, temporary on database", "to project_admin"),
        ("grant temporary on database", "to anon, authenticated"),
    ] {
        run(owner, format!("{verb} {database} {rest}")).await?;
    }
    Ok(database)
}

async fn set_attributes(
    owner: &mut PgConnection,
    project: &Project,
    login: &Login,
    role: &str,
) -> Result<(), SchemaError> {
    // The server gets the verifier only, so the password is in no statement log.
    let password = project.login_password(login.role);
    let verifier = postgres_protocol::password::scram_sha_256(password.expose().as_bytes());
    let inherit = if login.inherits {
        "inherit"
    } else {
        "noinherit"
    };
    run(
        owner,
        format!(
            "alter role {role} login {inherit} nocreatedb nocreaterole \
             connection limit {} password '{verifier}'",
            login.connections
        ),
    )
    .await?;
    run(owner, format!("alter role {role} reset all")).await?;
    if is_superuser(owner).await? {
        // Only a superuser may set this limit.
        let limit = login.temporary_files;
        run(
            owner,
            format!("alter role {role} set temp_file_limit = '{limit}'"),
        )
        .await?;
    } else if login.role == LoginRole::Sql {
        // Whoever ends somebody's session must be a member of his login.
        run(owner, format!("grant {role} to current_user")).await?;
    }
    for (name, value) in HYGIENE.iter().chain(login.settings) {
        // Lists are written without quotes; every other value is fine with them.
        let value = if *name == "search_path" {
            (*value).to_owned()
        } else {
            format!("'{value}'")
        };
        run(owner, format!("alter role {role} set {name} = {value}")).await?;
    }
    Ok(())
}

async fn is_superuser(owner: &mut PgConnection) -> Result<bool, SchemaError> {
    let sql = "select rolsuper from pg_catalog.pg_roles where rolname = current_user";
    Ok(query_scalar(sql).fetch_one(owner).await?)
}

/// Notes how the login should be, for `system.mend_logins()`.
async fn write_down(
    owner: &mut PgConnection,
    project: &Project,
    login: &Login,
) -> Result<(), SchemaError> {
    let readable = is_superuser(owner).await?;
    query(AssertSqlSafe(format!(
        "insert into system.logins (name, verifier, settings)
         select r.rolname, {}, coalesce(
             (select array_agg(s order by s)
              from pg_catalog.pg_db_role_setting as d, unnest(d.setconfig) as s
              where d.setrole = r.oid and d.setdatabase = 0), '{{}}')
         from {} as r where r.rolname = $1
         on conflict (name) do update
             set verifier = excluded.verifier, settings = excluded.settings",
        if readable { "r.rolpassword" } else { "''" },
        if readable {
            "pg_catalog.pg_authid"
        } else {
            "pg_catalog.pg_roles"
        },
    )))
    .bind(login.role.name(&project.id))
    .execute(owner)
    .await?;
    Ok(())
}

/// Makes the memberships exactly what is declared: what somebody added by hand is taken back.
async fn set_groups(
    owner: &mut PgConnection,
    project: &Project,
    login: &Login,
    role: &str,
) -> Result<(), SchemaError> {
    let present: Vec<String> = query_scalar(
        "select g.rolname::text
        from pg_catalog.pg_auth_members as m
        join pg_catalog.pg_roles as g on g.oid = m.roleid
        join pg_catalog.pg_roles as r on r.oid = m.member
        where r.rolname = $1",
    )
    .bind(login.role.name(&project.id))
    .fetch_all(&mut *owner)
    .await?;
    for extra in present
        .iter()
        .filter(|group| !login.groups.contains(&group.as_str()))
    {
        let group = quote_identifier(extra);
        run(owner, format!("revoke {group} from {role}")).await?;
    }
    for missing in login
        .groups
        .iter()
        .filter(|group| !present.iter().any(|name| name == *group))
    {
        run(owner, format!("grant {missing} to {role}")).await?;
    }
    Ok(())
}

/// Runs a utility statement, which takes no parameters. Names are quoted by the callers; values
/// are constants of this file or hexadecimal and base64 text.
async fn run(owner: &mut PgConnection, statement: String) -> Result<(), SchemaError> {
    raw_sql(AssertSqlSafe(statement)).execute(owner).await?;
    Ok(())
}
