//! The rule table: every kind of statement, setting, function or object that is refused.
//!
//! Sources: contract, database §10.1, for what must be refused; the rest are ways to another role,
//! to files, to programs or to other databases that PostgreSQL itself would refuse later, with a
//! text that helps nobody.

use pg_query::protobuf::{ObjectType, VariableSetKind};

use crate::tree::Found;

/// Where a script comes from; some rules hold only for some sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// `/advance/rawsql`: several statements on a connection that is reset afterwards.
    RawSql,
    /// `/advance/import`: a script in one transaction.
    Import,
    /// `/migrations`: a script in one transaction, recorded in the ledger.
    Migration,
}

const EVERYWHERE: &[Profile] = &[Profile::RawSql, Profile::Import, Profile::Migration];

/// One thing that is refused.
#[derive(Debug)]
pub struct Rule {
    /// Stable name of the rule, for logs and tests.
    pub id: &'static str,
    /// What the user reads: what is refused and what to do instead.
    pub sentence: &'static str,
    /// The sources of SQL for which the rule holds.
    pub profiles: &'static [Profile],
    refuses: &'static [Pattern],
}

/// What a rule recognises. Kinds are the names of the parser's node types.
#[derive(Debug)]
enum Pattern {
    /// A statement of this kind.
    Kind(&'static str),
    /// `SET`, `RESET` or `SET ... TO DEFAULT` of this setting, in any scope.
    Setting(&'static str),
    /// The same, except as a function's own `SET` clause, which ends with the call.
    SettingOutsideFunction(&'static str),
    /// `SET` of this setting to a value that is none of these (lower case, without dashes).
    SettingBut(&'static str, &'static [&'static str]),
    /// `RESET ALL`.
    ResetAll,
    /// A call of a function with this name, in whatever schema.
    Call(&'static str),
    /// A statement of the kind about an object of the type.
    Object(&'static str, ObjectType),
    /// A statement of the kind in which the flag is on, or the text is not empty.
    With(&'static str, &'static str),
    /// `COPY` to or from the client.
    CopyStream,
    /// A function or block in a language other than SQL and PL/pgSQL.
    ForeignLanguage,
    /// `CREATE EXTENSION` of this extension.
    Extension(&'static str),
}

use Pattern::{
    Call, CopyStream, Extension, ForeignLanguage, Kind, Object, ResetAll, Setting, SettingBut,
    SettingOutsideFunction, With,
};

/// All rules; the first that matches answers.
pub const RULES: &[Rule] = &[
    Rule {
        id: "database-management",
        sentence: "Creating, changing or dropping databases and tablespaces is not allowed: \
                   a project is exactly one database",
        profiles: EVERYWHERE,
        refuses: &[
            Kind("CreatedbStmt"),
            Kind("DropdbStmt"),
            Kind("AlterDatabaseStmt"),
            Kind("AlterDatabaseSetStmt"),
            Kind("AlterDatabaseRefreshCollStmt"),
            Kind("CreateTableSpaceStmt"),
            Kind("DropTableSpaceStmt"),
            Kind("AlterTableSpaceOptionsStmt"),
            Object("RenameStmt", ObjectType::ObjectDatabase),
            Object("AlterOwnerStmt", ObjectType::ObjectDatabase),
            Object("RenameStmt", ObjectType::ObjectTablespace),
            Object("AlterOwnerStmt", ObjectType::ObjectTablespace),
        ],
    },
    Rule {
        id: "role-management",
        sentence: "Managing roles is not allowed: the roles anon, authenticated and project_admin \
                   are fixed; grant privileges on objects to them instead",
        profiles: EVERYWHERE,
        refuses: &[
            Kind("CreateRoleStmt"),
            Kind("AlterRoleStmt"),
            Kind("AlterRoleSetStmt"),
            Kind("DropRoleStmt"),
            Kind("GrantRoleStmt"),
            Kind("DropOwnedStmt"),
            Kind("ReassignOwnedStmt"),
            Kind("CreateUserMappingStmt"),
            Kind("AlterUserMappingStmt"),
            Kind("DropUserMappingStmt"),
            Object("RenameStmt", ObjectType::ObjectRole),
            Object("CommentStmt", ObjectType::ObjectRole),
        ],
    },
    Rule {
        id: "execution-role",
        sentence: "Changing the execution role is not allowed: leave out SET ROLE, RESET ROLE, \
                   SET SESSION AUTHORIZATION, RESET ALL and DISCARD",
        profiles: EVERYWHERE,
        refuses: &[
            ResetAll,
            Setting("role"),
            Setting("session_authorization"),
            Kind("DiscardStmt"),
        ],
    },
    Rule {
        id: "set-config",
        sentence: "Calling set_config is not allowed: it can change the execution role and limits",
        profiles: EVERYWHERE,
        refuses: &[Call("set_config")],
    },
    Rule {
        id: "search-path",
        sentence: "Changing search_path is not allowed here: qualify names with their schema, or \
                   put SET search_path into the definition of a function",
        profiles: EVERYWHERE,
        refuses: &[SettingOutsideFunction("search_path")],
    },
    Rule {
        id: "statement-timeout",
        sentence: "Changing statement_timeout is not allowed: the limit is part of the service",
        profiles: EVERYWHERE,
        refuses: &[SettingOutsideFunction("statement_timeout")],
    },
    Rule {
        id: "reading-of-sql",
        sentence: "Changing how PostgreSQL reads SQL is not allowed: texts are UTF-8, and backslashes \
                   stand for themselves (standard_conforming_strings)",
        profiles: EVERYWHERE,
        refuses: &[
            SettingBut("client_encoding", &["utf8", "unicode"]),
            SettingBut("standard_conforming_strings", &["on", "true", "yes", "1"]),
            Setting("backslash_quote"),
        ],
    },
    Rule {
        id: "transaction-control",
        sentence: "Transaction control is not allowed: all statements of one request succeed or \
                   fail together, without BEGIN, COMMIT, ROLLBACK or SAVEPOINT",
        profiles: EVERYWHERE,
        refuses: &[Kind("TransactionStmt")],
    },
    Rule {
        id: "server-configuration",
        sentence: "Changing the server itself is not allowed: ALTER SYSTEM, LOAD, event triggers, \
                   languages, security labels and access methods belong to its operator",
        profiles: EVERYWHERE,
        refuses: &[
            Kind("AlterSystemStmt"),
            Kind("LoadStmt"),
            Kind("CheckPointStmt"),
            Kind("CreateEventTrigStmt"),
            Kind("AlterEventTrigStmt"),
            Kind("CreatePLangStmt"),
            Kind("CreateAmStmt"),
            Kind("SecLabelStmt"),
            Kind("CreateTransformStmt"),
            Kind("CreateOpClassStmt"),
            Kind("CreateOpFamilyStmt"),
            Kind("AlterOpFamilyStmt"),
            Object("AlterOwnerStmt", ObjectType::ObjectEventTrigger),
            Object("RenameStmt", ObjectType::ObjectEventTrigger),
            Setting("session_replication_role"),
        ],
    },
    Rule {
        id: "server-files",
        sentence: "Reading or writing files and starting programs on the server is not allowed: \
                   use import, bulk upsert or export",
        profiles: EVERYWHERE,
        refuses: &[
            With("CopyStmt", "is_program"),
            With("CopyStmt", "filename"),
            Call("pg_read_file"),
            Call("pg_read_binary_file"),
            Call("pg_file_write"),
            Call("pg_file_read"),
            Call("pg_ls_dir"),
            Call("pg_ls_logdir"),
            Call("pg_ls_waldir"),
            Call("pg_ls_tmpdir"),
            Call("pg_ls_archive_statusdir"),
            Call("pg_stat_file"),
            Call("pg_file_rename"),
            Call("pg_file_unlink"),
            Call("pg_file_sync"),
            Call("pg_ls_logicalsnapdir"),
            Call("pg_ls_logicalmapdir"),
            Call("pg_ls_replslotdir"),
            Call("pg_current_logfile"),
            Call("pg_hba_file_rules"),
            Call("pg_ident_file_mappings"),
            Call("pg_show_all_file_settings"),
            Call("lo_import"),
            Call("lo_export"),
        ],
    },
    Rule {
        id: "copy-stream",
        sentence: "COPY with STDIN or STDOUT needs a stream, which this request has not: use bulk \
                   upsert to load rows and export to fetch them",
        profiles: &[Profile::RawSql, Profile::Migration],
        refuses: &[CopyStream],
    },
    Rule {
        id: "other-sessions",
        sentence: "Ending other sessions or steering the server is not allowed: pg_terminate_backend, \
                   pg_cancel_backend, pg_reload_conf and their like belong to its operator",
        profiles: EVERYWHERE,
        refuses: &[
            Call("pg_terminate_backend"),
            Call("pg_cancel_backend"),
            Call("pg_reload_conf"),
            Call("pg_rotate_logfile"),
            Call("pg_promote"),
            Call("pg_switch_wal"),
            Call("pg_create_restore_point"),
            Call("pg_create_physical_replication_slot"),
            Call("pg_create_logical_replication_slot"),
            Call("pg_drop_replication_slot"),
            Call("pg_replication_slot_advance"),
            Call("pg_logical_slot_get_changes"),
            Call("pg_logical_slot_peek_changes"),
            Call("pg_logical_slot_get_binary_changes"),
            Call("pg_logical_slot_peek_binary_changes"),
            Call("pg_logical_emit_message"),
            Call("pg_replication_origin_create"),
            Call("pg_replication_origin_session_setup"),
            Call("pg_start_backup"),
            Call("pg_stop_backup"),
            Call("pg_backup_start"),
            Call("pg_backup_stop"),
            Call("pg_wal_replay_pause"),
            Call("pg_wal_replay_resume"),
            Call("pg_log_backend_memory_contexts"),
            Call("pg_stat_reset"),
            Call("pg_stat_reset_shared"),
        ],
    },
    Rule {
        id: "other-databases",
        sentence: "Connecting to other databases is not allowed: a project is exactly one database",
        profiles: EVERYWHERE,
        refuses: &[
            Kind("CreateForeignServerStmt"),
            Kind("AlterForeignServerStmt"),
            Kind("CreateFdwStmt"),
            Kind("AlterFdwStmt"),
            Kind("ImportForeignSchemaStmt"),
            Kind("CreateSubscriptionStmt"),
            Kind("AlterSubscriptionStmt"),
            Kind("DropSubscriptionStmt"),
            Call("dblink"),
            Call("dblink_connect"),
            Call("dblink_connect_u"),
            Call("dblink_exec"),
            Call("dblink_open"),
            Call("dblink_send_query"),
            Extension("dblink"),
            Extension("postgres_fdw"),
            Extension("file_fdw"),
            Extension("adminpack"),
        ],
    },
    Rule {
        id: "language",
        sentence: "Only the languages sql and plpgsql may be used for functions and DO blocks",
        profiles: EVERYWHERE,
        refuses: &[
            ForeignLanguage,
            // What `CREATE LANGUAGE` without a handler comes to.
            Extension("plpython3u"),
            Extension("plperlu"),
            Extension("pltclu"),
        ],
    },
];

/// Functions that run the SQL text in their arguments.
pub(crate) const EXECUTING: &[&str] = &[
    "query_to_xml",
    "query_to_xmlschema",
    "query_to_xml_and_xmlschema",
    "ts_stat",
    "ts_rewrite",
    "crosstab",
    "crosstabn",
    "xpath_table",
];

/// Place in [`RULES`] of the first rule of the profile that refuses a node.
pub(crate) fn refusing(profile: Profile, node: &Found<'_>) -> Option<usize> {
    RULES.iter().position(|rule| {
        rule.profiles.contains(&profile) && rule.refuses.iter().any(|pattern| pattern.matches(node))
    })
}

/// The rule against calling a function of that name, for text that has no syntax tree.
pub(crate) fn refusing_call(profile: Profile, name: &str) -> Option<&'static Rule> {
    RULES
        .iter()
        .filter(|rule| rule.profiles.contains(&profile))
        .find(|rule| {
            let named = |pattern: &Pattern| matches!(pattern, Call(call) if *call == name);
            rule.refuses.iter().any(named)
        })
}

/// The functions that some rule forbids to call.
pub(crate) fn called() -> impl Iterator<Item = &'static str> {
    let patterns = RULES.iter().flat_map(|rule| rule.refuses);
    patterns.filter_map(|pattern| match pattern {
        Call(name) => Some(*name),
        _ => None,
    })
}

impl Pattern {
    fn matches(&self, node: &Found<'_>) -> bool {
        match self {
            Kind(kind) => node.kind == *kind,
            Setting(name) => node.kind == "VariableSetStmt" && node.text("name") == *name,
            SettingOutsideFunction(name) => !node.in_function && Setting(name).matches(node),
            ResetAll => {
                node.kind == "VariableSetStmt"
                    && node.number("kind") == VariableSetKind::VarResetAll as i64
            }
            SettingBut(name, values) => {
                let sets = i64::from(VariableSetKind::VarSetValue as i32);
                Setting(name).matches(node)
                    && node.number("kind") == sets
                    && node.texts("args").any(|value| {
                        let value = value.to_ascii_lowercase().replace(['-', '_'], "");
                        !values.contains(&value.as_str())
                    })
            }
            // An aggregate or operator calls a function that it only names.
            Call(name) => match node.kind {
                "FuncCall" => node.text("funcname") == *name,
                "DefElem" => node.in_definition && node.text("arg") == *name,
                _ => false,
            },
            Object(kind, object) => {
                let object = i64::from(*object as i32);
                node.kind == *kind
                    && ["object_type", "objtype", "rename_type"]
                        .iter()
                        .any(|field| node.number(field) == object)
            }
            With(kind, field) => {
                node.kind == *kind && (node.number(field) != 0 || !node.text(field).is_empty())
            }
            CopyStream => {
                node.kind == "CopyStmt"
                    && node.text("filename").is_empty()
                    && node.number("is_program") == 0
            }
            ForeignLanguage => {
                node.kind == "DefElem"
                    && node.in_body_definition
                    && node.text("defname") == "language"
                    && !matches!(node.text("arg"), "sql" | "plpgsql")
            }
            Extension(name) => node.kind == "CreateExtensionStmt" && node.text("extname") == *name,
        }
    }
}
