//! Policies of row level security as SQL.

/// An SQL expression for the `create policy` that makes the row `p` of `pg_catalog.pg_policy`, with
/// all names qualified where the search path is empty.
pub const CREATE_POLICY: &str = "format('create policy %I on %s as %s for %s to %s%s%s', p.polname,
    p.polrelid::pg_catalog.regclass,
    case when p.polpermissive then 'permissive' else 'restrictive' end,
    case p.polcmd when 'r' then 'select' when 'a' then 'insert'
        when 'w' then 'update' when 'd' then 'delete' else 'all' end,
    (select string_agg(case r when 0 then 'public'
         else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(r)) end, ', ')
     from unnest(p.polroles) as r),
    ' using (' || pg_catalog.pg_get_expr(p.polqual, p.polrelid) || ')',
    ' with check (' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) || ')')";

/// The platform's tables whose policies are the project's to define (contract, schema §4), with
/// their schemas.
pub const PROJECT_POLICIES: [&str; 7] = [
    "realtime.channels",
    "realtime.messages",
    "storage.objects",
    "payments.stripe_checkout_sessions",
    "payments.stripe_customer_portal_sessions",
    "payments.razorpay_orders",
    "payments.razorpay_subscriptions",
];

/// Those on which it may put triggers.
pub const PROJECT_TRIGGERS: [&str; 5] = [
    "auth.users",
    "payments.customers",
    "payments.webhook_events",
    "payments.stripe_checkout_sessions",
    "payments.stripe_customer_portal_sessions",
];
