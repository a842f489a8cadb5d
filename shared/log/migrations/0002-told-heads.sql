-- Whoever listens in another process hears of a new head when the append is committed, instead of finding it at its next look.
-- In the append's transaction: what is rolled back is told to nobody. The payload is the head, so that who knows it already stays asleep.
create function log_tell_head() returns trigger language plpgsql as $$
begin
  perform pg_notify('tekai_log_head', (select max(position) from added)::text);
  return null;
end $$;

create trigger log_head_told after insert on log_facts
  referencing new table as added for each statement execute function log_tell_head();
