-- Whoever remembers who may subscribe to what hears when channels change. Changes of policies are
-- told by the event triggers, where a superuser could make them.

create function realtime.notify_channels() returns trigger
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    perform pg_notify('realtime_channels', '');
    return null;
end
$$;

create trigger trg_channels_notify
    after insert or update or delete or truncate on realtime.channels
    for each statement execute function realtime.notify_channels();
