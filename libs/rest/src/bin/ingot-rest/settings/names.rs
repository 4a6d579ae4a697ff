//! Every setting by name, as PostgREST 12's configuration reference lists them, and those of our
//! own, which begin with `ingot-`.

/// A setting.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Name in a file; the variable and the name in the database follow from it.
    pub(crate) name: &'static str,
    /// Older names that keep working.
    pub(crate) aliases: &'static [&'static str],
    /// None: unset.
    pub(crate) default: Option<&'static str>,
    /// The database may set it.
    pub(crate) in_database: bool,
    /// What it does, for `--example`.
    pub(crate) meaning: &'static str,
}

impl Setting {
    /// `db-uri` is `PGRST_DB_URI`.
    pub(crate) fn variable(&self) -> String {
        format!("PGRST_{}", self.name.replace('-', "_").to_uppercase())
    }
}

/// Prefix of settings that go to the database as they are.
pub(crate) const APP_SETTINGS: &str = "app.settings.";

macro_rules! settings {
    ($($name:literal $([$($alias:literal),*])? = $default:expr, $database:expr, $meaning:literal;)*) => {
        /// All of them, in the order in which PostgREST dumps its own.
        pub(crate) const SETTINGS: &[Setting] = &[$(Setting {
            name: $name,
            aliases: &[$($($alias),*)?],
            default: $default,
            in_database: $database,
            meaning: $meaning,
        }),*];
    };
}

settings! {
    "db-aggregates-enabled" = Some("false"), true, "sum(), count() and the like may be selected";
    "db-anon-role" = None, true, "Role of requests without a token; without it they are refused";
    "db-channel" = Some("pgrst"), false, "Channel of NOTIFY for reloads";
    "db-channel-enabled" = Some("true"), false, "Listen on that channel";
    "db-extra-search-path" = Some("public"), true, "Schemas searched after the request's own";
    "db-hoisted-tx-settings" = Some("statement_timeout, plan_filter.statement_cost_limit, default_transaction_isolation"), true, "Settings of functions that hold for the transaction";
    "db-max-rows" ["max-rows"] = None, true, "Most rows that one request returns";
    "db-plan-enabled" = Some("false"), true, "Execution plans may be asked for";
    "db-pool" = Some("10"), false, "Most connections to the database";
    "db-pool-acquisition-timeout" = Some("10"), false, "Longest wait for a connection, in seconds";
    "db-pool-max-lifetime" = Some("1800"), false, "Seconds after which a connection is replaced";
    "db-pool-max-idletime" ["db-pool-timeout"] = Some("30"), false, "Seconds after which an unused connection is closed";
    "db-pool-automatic-recovery" = Some("true"), false, "Reconnect; anything but true has no effect";
    "db-pre-request" ["pre-request"] = None, true, "Function to call before the statement of every request";
    "db-prepared-statements" = Some("true"), true, "Prepare statements; not behind a pooler in transaction mode";
    "db-root-spec" ["root-spec"] = None, true, "Function that answers at the root instead of OpenAPI";
    "db-schemas" ["db-schema"] = Some("public"), true, "Schemas that are reachable; the first is the default";
    "db-config" = Some("true"), false, "Read settings from the database, too";
    "db-pre-config" = None, true, "Function that sets settings";
    "db-tx-end" = Some("commit"), true, "commit, commit-allow-override, rollback or rollback-allow-override";
    "db-uri" = Some("postgresql://"), false, "Connection string; what it leaves out comes from PG* variables";
    "jwt-aud" = None, true, "Audience that tokens must be for, if they name one";
    "jwt-role-claim-key" ["role-claim-key"] = Some(".role"), true, "Where a token has the role";
    "jwt-secret" = None, true, "Secret, JWK or JWK set that verifies tokens; @file reads a file";
    "jwt-secret-is-base64" ["secret-is-base64"] = Some("false"), true, "The secret is written in base64";
    "jwt-cache-max-lifetime" = Some("0"), true, "Has no effect: tokens are verified every time";
    "log-level" = Some("error"), false, "crit, error, warn, info or debug";
    "openapi-mode" = Some("follow-privileges"), true, "follow-privileges, ignore-privileges or disabled";
    "openapi-security-active" = Some("false"), true, "The description says that a token is asked for";
    "openapi-server-proxy-uri" ["server-proxy-uri"] = None, true, "Address of the API in its description";
    "server-cors-allowed-origins" = None, true, "Origins that may call from a browser; all unless set";
    "server-host" = Some("!4"), false, "Address to listen on; *, *4, !4, *6, !6 mean any";
    "server-port" = Some("3000"), false, "Port to listen on; 0 takes a free one";
    "server-trace-header" = None, true, "Header that is sent back as it came";
    "server-timing-enabled" = Some("false"), true, "Answers say how long each stage took";
    "server-unix-socket" = None, false, "Socket in the file system to listen on, instead of a port";
    "server-unix-socket-mode" = Some("660"), false, "Permissions of that socket, octal";
    "admin-server-host" = None, false, "Where the admin server listens; server-host unless set";
    "admin-server-port" = None, false, "Port of /live, /ready, /schema_cache, /config and /metrics";
    "admin-server-config-enabled" = Some("false"), false, "The admin server shows all settings at /config, secrets included";
    "ingot-answer-memory" = Some("128"), false, "Memory for large answers, all at once, in MiB";
    "ingot-max-answer" = Some("64"), true, "Largest answer, in MiB; larger ones are refused with 413";
}

/// The setting of a name, also of an older one.
pub(crate) fn setting(name: &str) -> Option<&'static Setting> {
    SETTINGS
        .iter()
        .find(|setting| setting.name == name || setting.aliases.contains(&name))
}
