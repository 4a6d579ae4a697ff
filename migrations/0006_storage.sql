-- `storage`: buckets, objects, their tags, and keys of the S3 gateway.

create table storage.buckets (
    name text not null,
    public boolean default true,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    cors_rules jsonb,
    versioning_status text not null default 'Disabled',
    constraint _storage_buckets_pkey primary key (name),
    constraint buckets_versioning_status_check
        check (versioning_status in ('Enabled', 'Disabled', 'Suspended'))
);

grant select on storage.buckets to authenticated;

-- Keys sort by bytes, as S3 clients expect when they compare listings.
create table storage.objects (
    bucket text not null,
    key text collate "C" not null,
    size bigint not null,
    mime_type text,
    uploaded_at timestamptz default now(),
    -- Subject of the uploader; text, because third parties' subjects are no UUIDs.
    uploaded_by text,
    uploaded_via text not null default 'rest',
    s3_access_key_id text,
    etag text,
    constraint _storage_pkey primary key (bucket, key),
    constraint objects_bucket_fkey
        foreign key (bucket) references storage.buckets (name) on delete cascade,
    constraint objects_uploaded_via_check check (uploaded_via in ('rest', 's3', 'dashboard'))
);

create index idx_storage_objects_s3_access_key_id
    on storage.objects (s3_access_key_id) where s3_access_key_id is not null;
create index idx_storage_uploaded_by on storage.objects (uploaded_by);

grant select, insert, update, delete on storage.objects to authenticated;
grant references (bucket, key) on storage.objects to project_admin;

create table storage.object_tags (
    bucket text not null,
    key text collate "C" not null,
    tag_key text not null,
    tag_value text not null,
    constraint object_tags_pkey primary key (bucket, key, tag_key),
    constraint object_tags_bucket_key_fkey
        foreign key (bucket, key) references storage.objects (bucket, key) on delete cascade
);

create table storage.config (
    id uuid not null default gen_random_uuid(),
    max_file_size_mb integer not null default 50,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint config_pkey primary key (id),
    constraint config_max_file_size_mb_check
        check (max_file_size_mb >= 1 and max_file_size_mb <= 200)
);

create unique index idx_storage_config_singleton on storage.config ((1));

create trigger update_storage_config_updated_at
    before update on storage.config
    for each row execute function system.update_updated_at();

insert into storage.config default values;

-- The secret half is encrypted and not hashed: signatures are checked with it.
create table storage.s3_access_keys (
    id uuid not null default gen_random_uuid(),
    access_key_id text not null,
    secret_access_key_encrypted text not null,
    description text,
    created_at timestamptz not null default now(),
    last_used_at timestamptz,
    constraint s3_access_keys_pkey primary key (id),
    constraint s3_access_keys_access_key_id_key unique (access_key_id)
);

create index idx_s3_access_keys_last_used_at on storage.s3_access_keys (last_used_at);

-- Parts of an object's key, for policies.

-- `a/b/c.txt` -> {a,b}
create function storage.foldername(name text) returns text[]
    language sql
    immutable
    parallel safe
    return (string_to_array(name, '/'))[1:cardinality(string_to_array(name, '/')) - 1];

-- `a/b/c.txt` -> c.txt
create function storage.filename(name text) returns text
    language sql
    immutable
    parallel safe
    return split_part(name, '/', -1);

-- `a/b/c.txt` -> txt; null without a dot in the last segment.
create function storage.extension(name text) returns text
    language sql
    immutable
    parallel safe
    return substring(name from '\.([^./\\]+)$');
