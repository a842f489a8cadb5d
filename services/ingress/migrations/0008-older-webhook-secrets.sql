-- Secrets from before the ones before, which some webhook may still have when they are changed again within the bound; null as above.
alter table webhook_secrets add column older_revisions int[] not null default '{}';
