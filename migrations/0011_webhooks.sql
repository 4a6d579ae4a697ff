-- Webhooks of realtime channels: what has to be sent, in which order, and what could not be.

-- One row per message and address, written with the message, so that what commits is sent and
-- nothing else is. A delivered one is deleted; one that failed stays until somebody replays or
-- removes it, or its message goes.
create table realtime.webhook_deliveries (
    id uuid not null default gen_random_uuid(),
    -- The order in which an address gets its messages.
    sequence bigint generated always as identity,
    message_id uuid not null,
    url text not null,
    -- Of fixed length, for indexes: an address may be long.
    target uuid not null generated always as (md5(url)::uuid) stored,
    attempts integer not null default 0,
    next_attempt_at timestamptz not null default now(),
    -- Somebody is sending it until then, unless he died.
    claimed_until timestamptz,
    -- The message's statistics know of it.
    counted boolean not null default false,
    failed_at timestamptz,
    status integer,
    error text,
    created_at timestamptz not null default now(),
    constraint webhook_deliveries_pkey primary key (id),
    constraint webhook_deliveries_message_id_fkey
        foreign key (message_id) references realtime.messages (id) on delete cascade
);

create index idx_realtime_webhooks_waiting
    on realtime.webhook_deliveries (target, sequence) where failed_at is null;
create index idx_realtime_webhooks_failed
    on realtime.webhook_deliveries (failed_at desc, sequence desc) where failed_at is not null;
create index idx_realtime_webhooks_message on realtime.webhook_deliveries (message_id);

-- As the owner: whoever may publish may not choose addresses.
create function realtime.queue_webhooks() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    insert into realtime.webhook_deliveries (message_id, url)
    select i.id, w.url
    from inserted as i
    join realtime.channels as c on c.id = i.channel_id and c.enabled
    cross join lateral unnest(c.webhook_urls) with ordinality as w (url, place)
    where w.url is not null
    order by i.sequence, w.place;
    return null;
end
$$;

revoke execute on function realtime.queue_webhooks() from public;

create trigger trg_message_webhooks
    after insert on realtime.messages
    referencing new table as inserted
    for each statement execute function realtime.queue_webhooks();
