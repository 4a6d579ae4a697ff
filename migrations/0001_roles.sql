-- Group roles and what they may do in `public`. Login roles, and who may connect to the database,
-- are prepared per project and outside of the numbered steps.
--
-- Roles belong to the whole cluster, and several databases of one cluster may be migrated at the
-- same moment: whoever comes second finds the role there, or waits for the first and then gets
-- `duplicate_object` or `unique_violation`. Both mean "done". A role is created complete, so
-- that nobody has to alter it afterwards.

do $$
declare
    wanted record;
begin
    for wanted in
        select *
        from (values
            -- Requests without a signed-in user.
            ('anon', 'nologin noinherit'),
            -- Requests of a signed-in user.
            ('authenticated', 'nologin noinherit'),
            -- The project's administrator: owns what he creates, sees every row.
            ('project_admin', 'nologin inherit bypassrls'),
            -- Ingot's services: the platform's tables and nothing else.
            ('ingot_service', 'nologin inherit'),
            -- Owns the tables whose row level security a project defines itself (step 8).
            ('ingot_row_security', 'nologin'),
            -- Owns the accounts, and nothing else (step 4).
            ('ingot_accounts', 'nologin')
        ) as role (name, attributes)
    loop
        if not exists (select from pg_roles where rolname = wanted.name) then
            begin
                execute format('create role %I %s', wanted.name, wanted.attributes);
            exception
                when duplicate_object or unique_violation then
                    null;
            end;
        end if;
    end loop;

    -- A cluster that an earlier platform used may have the role without the attributes.
    if not (select rolbypassrls from pg_roles where rolname = 'project_admin') then
        alter role project_admin bypassrls;
    end if;
    if not (select rolinherit from pg_roles where rolname = 'project_admin') then
        alter role project_admin inherit;
    end if;
end
$$;

-- Owners bypass row level security, so services see every row of these tables, whatever policies
-- the project writes. The project's administrator may write them because he shares the
-- ownership; step 8 keeps him from changing anything else about the tables.
do $$
declare
    member text;
begin
    foreach member in array array['ingot_service', 'project_admin'] loop
        if not pg_has_role(member, 'ingot_row_security', 'member') then
            begin
                execute format('grant ingot_row_security to %I', member);
            exception
                when unique_violation then
                    null;
            end;
        end if;
    end loop;
end
$$;

-- An owner who is no superuser acts for the group roles through membership.
do $$
declare
    role_name text;
begin
    if (select rolsuper from pg_roles where rolname = current_user) then
        return;
    end if;
    foreach role_name in array array['project_admin', 'ingot_row_security', 'ingot_accounts'] loop
        if not pg_has_role(current_user, role_name, 'member') then
            begin
                execute format('grant %I to %I', role_name, current_user);
            exception
                when unique_violation then
                    null;
            end;
        end if;
    end loop;
end
$$;

grant usage on schema public to anon, authenticated, project_admin;
grant create on schema public to project_admin;

-- A new table in `public` is open to end users until row level security narrows it.
alter default privileges in schema public
    grant select, insert, update, delete on tables to anon, authenticated;
alter default privileges in schema public
    grant usage, select on sequences to anon, authenticated;
alter default privileges in schema public
    grant all on tables to project_admin;
alter default privileges in schema public
    grant all on sequences to project_admin;
alter default privileges in schema public
    grant execute on functions to project_admin;

alter default privileges for role project_admin in schema public
    grant select, insert, update, delete on tables to anon, authenticated;
alter default privileges for role project_admin in schema public
    grant usage, select on sequences to anon, authenticated;
