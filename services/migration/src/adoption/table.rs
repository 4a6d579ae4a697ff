//! A table that is there already, brought to the shape of a `create table`: the statement makes an
//! empty twin in another schema, and the catalogue says what differs. Columns that the twin lacks
//! stay, for they have data.

use std::collections::BTreeMap;

use ingot_schema::CREATE_POLICY;
use sqlx::{AssertSqlSafe, FromRow, PgConnection, query_as, query_scalar};

use super::{AdoptionError, Journal, run};

/// Values of new columns in old rows, where the column's default does not say it.
const FILLS: [(&str, &str, &str); 14] = [
    // Older than every transaction: the relay has nothing to catch up with.
    ("realtime.messages", "xid", "'3'::pg_catalog.xid8"),
    // There was no other, and it gave everybody a name of his own.
    ("compute.services", "provider", "'fly'"),
    ("compute.services", "ingress", "'host'"),
    // Codes were bcrypt, links were not.
    (
        "auth.email_otps",
        "otp_type",
        "case when otp_hash like '$2%' then 'NUMERIC_CODE' else 'HASH_TOKEN' end",
    ),
    // As with containers.
    ("payments.provider_connections", "provider", "'stripe'"),
    ("payments.customers", "provider", "'stripe'"),
    ("payments.customer_mappings", "provider", "'stripe'"),
    ("payments.webhook_events", "provider", "'stripe'"),
    ("payments.transactions", "provider", "'stripe'"),
    // The history that reports were made of had a column for each kind of object, unique in its kind.
    (
        "payments.transactions",
        "provider_object_type",
        "case
             when type = 'refund' then case when stripe_refund_id is not null then 'refund' end
             when stripe_payment_intent_id is not null then 'payment_intent'
             when stripe_invoice_id is not null then 'invoice'
             when stripe_checkout_session_id is not null then 'checkout_session'
         end",
    ),
    (
        "payments.transactions",
        "provider_object_id",
        "case when type = 'refund' then stripe_refund_id
             else coalesce(stripe_payment_intent_id, stripe_invoice_id, stripe_checkout_session_id) end",
    ),
    (
        "payments.transactions",
        "provider_parent_object_type",
        "case when type = 'refund' and stripe_payment_intent_id is not null then 'payment_intent' end",
    ),
    (
        "payments.transactions",
        "provider_parent_object_id",
        "case when type = 'refund' then stripe_payment_intent_id end",
    ),
    (
        "payments.transactions",
        "related_object_ids",
        "pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
             'payment_intent', stripe_payment_intent_id, 'charge', stripe_charge_id,
             'invoice', stripe_invoice_id, 'checkout_session', stripe_checkout_session_id,
             'refund', stripe_refund_id, 'subscription', stripe_subscription_id,
             'product', stripe_product_id, 'price', stripe_price_id))",
    ),
];

#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
struct Column {
    /// Quoted.
    name: String,
    #[sqlx(rename = "type")]
    data_type: String,
    /// Quoted, where it is not the type's own.
    collation: Option<String>,
    required: bool,
    #[sqlx(rename = "default")]
    default: Option<String>,
    /// As in `pg_attribute`: empty, `a` or `d`.
    identity: String,
    /// As in `pg_attribute`: empty where values are stored as they come; `default` says how they are
    /// computed otherwise.
    generated: String,
}

impl Column {
    /// Type and collation.
    fn definition(&self) -> String {
        match &self.collation {
            Some(collation) => format!("{} collate {collation}", self.data_type),
            None => self.data_type.clone(),
        }
    }
}

/// Changes `name` until it is as `sql`, a `create table` of a step, says.
pub(super) async fn reconcile(
    connection: &mut PgConnection,
    name: &str,
    sql: &str,
    journal: &mut Journal,
) -> Result<(), AdoptionError> {
    let table = name.rsplit('.').next().unwrap_or(name);
    let twin = format!("ingot_adoption.{table}");
    let made = sql.replacen(name, &twin, 1);
    run(connection, &made, format!("comparing {name}")).await?;
    own(connection, name).await?;
    let wanted = columns(connection, &twin).await?;
    let present = columns(connection, name).await?;
    for column in &wanted {
        match present.iter().find(|it| it.name == column.name) {
            None => add(connection, name, column, journal).await?,
            Some(old) if old != column => alter(connection, name, old, column, journal).await?,
            Some(_) => {}
        }
    }
    for extra in &present {
        let known = wanted.iter().any(|column| column.name == extra.name);
        if !known && extra.required && extra.default.is_none() && extra.identity.is_empty() {
            let change = format!(
                "alter table {name} alter column {} drop not null",
                extra.name
            );
            run(connection, &change, format!("relaxing {name}")).await?;
            journal.did(format!(
                "{name}.{} may be null, because Ingot does not fill it",
                extra.name
            ));
        }
    }
    constrain(connection, name, &twin, journal).await?;
    run(connection, &format!("drop table {twin}"), "comparing").await
}

/// Makes it the owner's, with the grants that a new table has.
async fn own(connection: &mut PgConnection, name: &str) -> Result<(), AdoptionError> {
    let sql = format!(
        "alter table {name} owner to current_user;
         revoke all on {name} from public, anon, authenticated, project_admin, ingot_service;
         grant select on {name} to project_admin;
         grant select, insert, update, delete on {name} to ingot_service"
    );
    run(connection, &sql, format!("taking over {name}")).await
}

async fn columns(connection: &mut PgConnection, name: &str) -> Result<Vec<Column>, AdoptionError> {
    Ok(query_as(
        "select pg_catalog.quote_ident(a.attname) as name,
             pg_catalog.format_type(a.atttypid, a.atttypmod) as type,
             case when a.attcollation <> t.typcollation
                 then pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.collname)
             end as collation,
             a.attnotnull as required,
             pg_catalog.pg_get_expr(d.adbin, d.adrelid) as default,
             a.attidentity::text as identity,
             a.attgenerated::text as generated
         from pg_catalog.pg_attribute as a
         join pg_catalog.pg_type as t on t.oid = a.atttypid
         left join pg_catalog.pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
         left join pg_catalog.pg_collation as c on c.oid = a.attcollation
         left join pg_catalog.pg_namespace as n on n.oid = c.collnamespace
         where a.attrelid = $1::pg_catalog.regclass and a.attnum > 0 and not a.attisdropped
         order by a.attnum",
    )
    .bind(name)
    .fetch_all(connection)
    .await?)
}

async fn add(
    connection: &mut PgConnection,
    table: &str,
    column: &Column,
    journal: &mut Journal,
) -> Result<(), AdoptionError> {
    let name = &column.name;
    let mut sql = format!(
        "alter table {table} add column {name} {}",
        column.definition()
    );
    match (column.identity.as_str(), &column.default) {
        (_, Some(value)) if !column.generated.is_empty() => {
            sql.extend([" generated always as (", value, ") stored"]);
        }
        ("a", _) => sql.push_str(" generated always as identity"),
        ("d", _) => sql.push_str(" generated by default as identity"),
        (_, Some(default)) => sql.extend([" default ", default]),
        _ => {}
    }
    let fill = FILLS
        .iter()
        .find(|(of, it, _)| (*of, *it) == (table, name.as_str()));
    if let Some((_, _, value)) = fill {
        sql.extend(["; update ", table, " set ", name, " = ", value]);
    }
    let filled = fill.is_some() || column.default.is_some() || !column.identity.is_empty();
    let required = column.required && (filled || is_empty(connection, table).await?);
    if column.required && !required {
        journal.did(format!(
            "{table}.{name} may be null, because nothing says what it is in the rows that are there"
        ));
    }
    if required {
        sql.extend([
            "; alter table ",
            table,
            " alter column ",
            name,
            " set not null",
        ]);
    }
    run(connection, &sql, format!("adding {table}.{name}")).await?;
    journal.did(format!("{table}.{name} was added"));
    Ok(())
}

async fn is_empty(connection: &mut PgConnection, table: &str) -> Result<bool, AdoptionError> {
    let query = format!("select not exists (select from {table})");
    Ok(query_scalar(AssertSqlSafe(query))
        .fetch_one(connection)
        .await?)
}

async fn alter(
    connection: &mut PgConnection,
    table: &str,
    old: &Column,
    new: &Column,
    journal: &mut Journal,
) -> Result<(), AdoptionError> {
    let name = &new.name;
    let doing = format!("changing {table}.{name}");
    if !new.generated.is_empty() {
        // Nothing is lost: its values follow from others. Its indexes come back with the step.
        let drop = format!("alter table {table} drop column {name}");
        run(connection, &drop, doing).await?;
        return add(connection, table, new, journal).await;
    }
    let column = format!("alter table {table} alter column {name}");
    let retyped = old.definition() != new.definition();
    let mut sql = Vec::new();
    if !old.generated.is_empty() {
        sql.push(format!("{column} drop expression"));
    } else if old.default.is_some() && (retyped || new.default.is_none()) {
        sql.push(format!("{column} drop default"));
    }
    let mut policies = Vec::new();
    if retyped {
        for foreign_key in foreign_keys(connection, table, name).await? {
            sql.push(format!("alter table {table} drop constraint {foreign_key}"));
        }
        policies = policies_on(connection, table, name).await?;
        sql.extend(policies.iter().map(|(drop, _)| drop.clone()));
        let (definition, to) = (new.definition(), &new.data_type);
        sql.push(format!("{column} type {definition} using {name}::{to}"));
    }
    if let Some(default) = &new.default {
        sql.push(format!("{column} set default {default}"));
        if new.required && !old.required {
            sql.push(format!(
                "update {table} set {name} = {default} where {name} is null"
            ));
        }
    }
    match (old.required, new.required) {
        (false, true) => sql.push(format!("{column} set not null")),
        (true, false) => sql.push(format!("{column} drop not null")),
        _ => {}
    }
    sql.extend(policies.into_iter().map(|(_, create)| create));
    run(connection, &sql.join(";\n"), doing).await?;
    journal.did(if retyped {
        format!(
            "{table}.{name} is {} now, and was {}",
            new.definition(),
            old.definition()
        )
    } else {
        format!("{table}.{name} has another default or may be null now, or may not")
    });
    Ok(())
}

/// Constraints that a column of another type would break. Those that Ingot wants come back.
async fn foreign_keys(
    connection: &mut PgConnection,
    table: &str,
    column: &str,
) -> Result<Vec<String>, AdoptionError> {
    Ok(query_scalar(
        "select pg_catalog.quote_ident(c.conname)
         from pg_catalog.pg_constraint as c
         join pg_catalog.pg_attribute as a on a.attrelid = c.conrelid and a.attnum = any (c.conkey)
         where c.conrelid = $1::pg_catalog.regclass and c.contype = 'f'
             and pg_catalog.quote_ident(a.attname) = $2",
    )
    .bind(table)
    .bind(column)
    .fetch_all(connection)
    .await?)
}

/// Policies that name the column, wherever they are: how to drop each and how to make it again.
async fn policies_on(
    connection: &mut PgConnection,
    table: &str,
    column: &str,
) -> Result<Vec<(String, String)>, AdoptionError> {
    let query = format!(
        "select distinct
             format('drop policy %I on %s', p.polname, p.polrelid::pg_catalog.regclass),
             {CREATE_POLICY}
         from pg_catalog.pg_depend as d
         join pg_catalog.pg_policy as p
             on d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass and d.objid = p.oid
         join pg_catalog.pg_attribute as a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
         where d.refobjid = $1::pg_catalog.regclass and pg_catalog.quote_ident(a.attname) = $2"
    );
    Ok(query_as(AssertSqlSafe(query))
        .bind(table)
        .bind(column)
        .fetch_all(connection)
        .await?)
}

/// Gives the table the twin's constraints.
async fn constrain(
    connection: &mut PgConnection,
    table: &str,
    twin: &str,
    journal: &mut Journal,
) -> Result<(), AdoptionError> {
    let present: BTreeMap<String, String> =
        constraints(connection, table).await?.into_iter().collect();
    for (name, definition) in constraints(connection, twin).await? {
        let old = present.get(&name);
        if old == Some(&definition) {
            continue;
        }
        let mut sql = format!("alter table {table} add constraint {name} {definition}");
        if old.is_some() {
            sql = format!("alter table {table} drop constraint {name}; {sql}");
        }
        run(connection, &sql, format!("constraining {table}")).await?;
        journal.did(format!("{table} has the constraint {name} now"));
    }
    Ok(())
}

/// Names, quoted, and definitions; foreign keys last, because they need the others' indexes.
async fn constraints(
    connection: &mut PgConnection,
    table: &str,
) -> Result<Vec<(String, String)>, AdoptionError> {
    Ok(query_as(
        "select pg_catalog.quote_ident(conname), pg_catalog.pg_get_constraintdef(oid)
         from pg_catalog.pg_constraint
         where conrelid = $1::pg_catalog.regclass and contype in ('p', 'u', 'c', 'f')
         order by contype = 'f', conname",
    )
    .bind(table)
    .fetch_all(connection)
    .await?)
}
