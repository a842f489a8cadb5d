-- Which log the tables of this database follow: checkpoints, read models and followers hold positions, and those of another log
-- mean nothing in it. Remembered, because the log is named by a setting, which is changed sooner than it is thought about.
create table log_followed (
  is_only boolean primary key default true check (is_only),
  -- postgres, eventstoredb
  kind text not null,
  epoch text not null
);
-- Where there are facts here, they are what was followed. Otherwise the next start says it.
insert into log_followed (kind, epoch) select 'postgres', epoch::text from log_head where exists (select from log_facts);

-- An engine that was not told that its log has moved must not go on with the old one: what it appended there nobody would read.
-- As if the server were starting: it waits, and ingress spools.
create function log_refuse_left() returns trigger language plpgsql as $$
begin
  if exists (select from log_followed where kind <> 'postgres') then
    raise exception using errcode = 'cannot_connect_now', message = 'the facts of this engine are in another log than this database: start it with the setting of that log';
  end if;
  return null;
end $$;

create trigger log_left_refused before insert on log_facts for each statement execute function log_refuse_left();
