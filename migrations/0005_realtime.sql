-- `realtime`: channels, the message log, and how SQL publishes.

create table realtime.channels (
    id uuid not null default gen_random_uuid(),
    -- Compared with LIKE; `%` is the wildcard, `:` separates segments by convention.
    pattern text not null,
    description text,
    webhook_urls text[],
    enabled boolean not null default true,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    constraint channels_pkey primary key (id),
    constraint channels_pattern_key unique (pattern)
);

create index idx_realtime_channels_enabled on realtime.channels (enabled);
create index idx_realtime_channels_pattern on realtime.channels (pattern);

create trigger update_channels_updated_at
    before update on realtime.channels
    for each row execute function system.update_updated_at();

grant select on realtime.channels to anon, authenticated;
grant insert, update, delete on realtime.channels to project_admin;

create table realtime.messages (
    id uuid not null default gen_random_uuid(),
    event_name text not null,
    channel_id uuid,
    channel_name text not null,
    payload jsonb not null default '{}',
    sender_type text not null default 'system',
    sender_id uuid,
    ws_audience_count integer not null default 0,
    wh_audience_count integer not null default 0,
    wh_delivered_count integer not null default 0,
    created_at timestamptz default now(),
    -- Catching up without loss: transactions commit in another order than they insert, so neither
    -- `created_at` nor `sequence` can tell a reader how far he has read. The transaction id can:
    -- everything below the `xmin` of a snapshot is decided, so `xid` is the cursor between
    -- transactions and `sequence` the order inside one.
    sequence bigint generated always as identity,
    xid xid8 not null,
    -- W3C trace context of the transaction that published, where it told one: a notification
    -- carries the id alone.
    traceparent text default nullif(current_setting('ingot.traceparent', true), ''),
    constraint messages_pkey primary key (id),
    constraint messages_channel_id_fkey
        foreign key (channel_id) references realtime.channels (id) on delete set null,
    constraint messages_sender_type_check check (sender_type in ('system', 'user'))
);

create index idx_realtime_messages_channel_id on realtime.messages (channel_id);
create index idx_realtime_messages_channel_name on realtime.messages (channel_name);
create index idx_realtime_messages_created_at on realtime.messages (created_at desc);
create index idx_realtime_messages_event_name on realtime.messages (event_name);
create index idx_realtime_messages_sender on realtime.messages (sender_type, sender_id);
create index idx_realtime_messages_cursor on realtime.messages (xid, sequence);

-- A trigger and not a default: whoever may insert could otherwise name a transaction of his
-- choice and push the cursor past messages that nobody has seen.
create function realtime.stamp_message() returns trigger
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    new.xid := pg_current_xact_id();
    return new;
end
$$;

create trigger trg_message_stamp
    before insert on realtime.messages
    for each row execute function realtime.stamp_message();

-- Only the id travels: a notification holds 8000 bytes and a larger one would fail the insert.
create function realtime.notify_on_message_insert() returns trigger
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    perform pg_notify('realtime_message', new.id::text);
    return null;
end
$$;

create trigger trg_message_notify
    after insert on realtime.messages
    for each row execute function realtime.notify_on_message_insert();

grant insert on realtime.messages to anon, authenticated, project_admin;

-- How far the relay is: every message whose transaction `delivered` sees is on the bus. A single
-- row, written at most a few times a second. Transactions begin before it and messages follow, so
-- a fresh database has nothing to catch up with.
create table realtime.relay (
    singleton boolean not null default true,
    delivered pg_snapshot not null default pg_current_snapshot(),
    updated_at timestamptz not null default now(),
    constraint relay_pkey primary key (singleton),
    constraint relay_singleton_check check (singleton)
);

insert into realtime.relay default values;

-- How long messages are kept; null means for ever.
create table realtime.config (
    id uuid not null default gen_random_uuid(),
    retention_days integer,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    constraint config_pkey primary key (id),
    constraint config_retention_days_check check (retention_days is null or retention_days > 0)
);

create unique index idx_realtime_config_singleton on realtime.config ((1));

create trigger update_realtime_config_updated_at
    before update on realtime.config
    for each row execute function system.update_updated_at();

insert into realtime.config default values;

-- The channel that a permission check is about, for policies.
create function realtime.channel_name() returns text
    language sql
    stable
    return nullif(current_setting('realtime.channel_name', true), '');

-- Publishes a message from SQL; it reaches subscribers when the transaction commits. Returns its
-- id, or null with a warning when no enabled channel fits the name. Of several channels that fit,
-- the exact pattern wins, then the longest, so that the choice does not depend on the plan.
create function realtime.publish(p_channel_name text, p_event_name text, p_payload jsonb)
    returns uuid
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_channel_id uuid;
    v_message_id uuid;
begin
    select c.id
    into v_channel_id
    from realtime.channels as c
    where c.enabled
        and (c.pattern = p_channel_name or p_channel_name like c.pattern)
    order by c.pattern = p_channel_name desc, length(c.pattern) desc, c.pattern
    limit 1;

    if v_channel_id is null then
        raise warning 'Realtime: No matching channel found for "%"', p_channel_name;
        return null;
    end if;

    insert into realtime.messages (event_name, channel_id, channel_name, payload, sender_type)
    values (p_event_name, v_channel_id, p_channel_name, p_payload, 'system')
    returning id into v_message_id;

    return v_message_id;
end
$$;

revoke execute on function realtime.publish(text, text, jsonb) from public;
grant execute on function realtime.publish(text, text, jsonb) to project_admin, ingot_service;

-- Deletes messages past their retention, in batches. Returns how many; an error becomes a
-- warning, because nobody waits for the result.
create function realtime.cleanup_messages(p_batch_size integer default 1000) returns integer
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_retention_days integer;
    v_deleted integer;
    v_total integer := 0;
begin
    if p_batch_size is null or p_batch_size < 1 then
        raise warning 'realtime.cleanup_messages: the batch size must be at least 1';
        return 0;
    end if;

    select c.retention_days into v_retention_days from realtime.config as c;
    if v_retention_days is null or v_retention_days <= 0 then
        return 0;
    end if;

    loop
        delete from realtime.messages
        where id in (
            select m.id
            from realtime.messages as m
            where m.created_at < now() - make_interval(days => v_retention_days)
            order by m.created_at
            limit p_batch_size
        );
        get diagnostics v_deleted = row_count;
        v_total := v_total + v_deleted;
        exit when v_deleted < p_batch_size;
    end loop;

    return v_total;
exception
    when others then
        raise warning 'realtime.cleanup_messages stopped: %', sqlerrm;
        return v_total;
end
$$;

revoke execute on function realtime.cleanup_messages(integer) from public;
grant execute on function realtime.cleanup_messages(integer) to ingot_service;
